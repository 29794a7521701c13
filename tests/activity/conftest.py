from tests.audit.conftest import at, enter

__all__ = ["at", "enter"]
