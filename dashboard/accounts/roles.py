"""The table of roles. Views and services name permissions, never roles."""

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
