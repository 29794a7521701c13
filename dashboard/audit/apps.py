from django.apps import AppConfig


class Audit(AppConfig):
    name = "dashboard.audit"

    def ready(self) -> None:
        from dashboard.audit import events  # noqa: F401, PLC0415 (it registers, once models can be loaded)
        from dashboard.audit.ledger import guards  # noqa: F401, PLC0415 (it registers its check)
