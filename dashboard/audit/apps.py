from django.apps import AppConfig


class Audit(AppConfig):
    name = "dashboard.audit"

    def ready(self) -> None:
        from dashboard.audit import guards  # noqa: F401, PLC0415 (registers its check, once models can be loaded)
