from django.apps import AppConfig


class Audit(AppConfig):
    name = "dashboard.audit"

    def ready(self) -> None:
        from dashboard.audit import events, guards  # noqa: F401, PLC0415 (they register, once models can be loaded)
