"""The roles as Django groups. The table is repeated here because a migration must not change when the code does."""

from django.db import migrations

PERMISSIONS = {
    ("server_groups", "servergroup"): ("view_servergroup", "switch_servergroup", "edit_servergroup"),
    ("audit", "changeintent"): ("view_ledger",),
}
ROLES = {
    "viewer": ("view_servergroup",),
    "help desk": ("view_servergroup", "switch_servergroup", "view_ledger"),
    "administrator": ("view_servergroup", "switch_servergroup", "edit_servergroup", "view_ledger"),
    "auditor": ("view_servergroup", "view_ledger"),
}


def make_roles(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    Group = apps.get_model("auth", "Group")
    permissions = {}
    for (app_label, model), codenames in PERMISSIONS.items():
        content_type, _ = ContentType.objects.get_or_create(app_label=app_label, model=model)
        for codename in codenames:
            permissions[codename], _ = Permission.objects.get_or_create(
                content_type=content_type, codename=codename, defaults={"name": codename.replace("_", " ")}
            )
    for role, codenames in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set(permissions[codename] for codename in codenames)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("audit", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("server_groups", "0001_initial"),
    ]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
