"""The table of roles. Views and services use permissions, never roles."""

from django.utils.translation import gettext_lazy as _

VIEW = "server_groups.view_servergroup"
SWITCH = "server_groups.switch_servergroup"
EDIT = "server_groups.edit_servergroup"
VIEW_LEDGER = "audit.view_ledger"

ROLES = {
    "viewer": (VIEW,),
    "help desk": (VIEW, SWITCH, VIEW_LEDGER),
    "administrator": (VIEW, SWITCH, EDIT, VIEW_LEDGER),
    "auditor": (VIEW, VIEW_LEDGER),
}

ROLE_LABELS = {
    "viewer": _("viewer"),
    "help desk": _("help desk"),
    "administrator": _("administrator"),
    "auditor": _("auditor"),
}
