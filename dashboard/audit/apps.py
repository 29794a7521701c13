from django.apps import AppConfig


class Audit(AppConfig):
    name = "dashboard.audit"

    def ready(self) -> None:
        from dashboard.audit import events  # noqa: F401, PLC0415 (connects its signals; needs loaded models)
        from dashboard.audit.ledger import guards  # noqa: F401, PLC0415 (registers its checks)
