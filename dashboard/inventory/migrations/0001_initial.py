"""Create the tables of the inventory, then the index for searches from the `.sql` files."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

import dashboard.inventory.ordering
import dashboard.inventory.search

SQL = Path(__file__).parents[1] / "sql"


def make_search(apps, schema_editor):
    text = (SQL / f"{schema_editor.connection.vendor}.sql").read_text(encoding="utf-8")
    for statement in text.split(";\n\n"):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="GroupCopy",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("group_id", models.CharField(max_length=1000)),
                ("name", models.CharField(max_length=1000)),
                ("name_key", models.CharField(max_length=200)),
                ("description", models.CharField(blank=True, max_length=1000)),
                ("status", models.BooleanField(null=True)),
                ("app_type", models.CharField(blank=True, max_length=200)),
                ("role", models.CharField(blank=True, max_length=8)),
                ("image_name", models.CharField(blank=True, max_length=200)),
                ("disk_size", models.BigIntegerField(null=True)),
                ("app_groups", models.BigIntegerField(null=True)),
                ("update_time", models.DateTimeField(null=True)),
                ("search_text", models.TextField(blank=True)),
                ("data", models.JSONField()),
                ("baseline", models.JSONField(default=dict)),
                ("suspected", models.JSONField(default=dict)),
                ("read_at", models.DateTimeField()),
                ("written_at", models.DateTimeField(null=True)),
                ("changed_outside_at", models.DateTimeField(null=True)),
                ("details", models.JSONField(null=True)),
                ("details_as_of", models.DateTimeField(null=True)),
                ("details_update_time", models.DateTimeField(null=True)),
                ("max_session", models.BigIntegerField(null=True)),
                ("ready", models.PositiveIntegerField(null=True)),
                ("servers", models.BigIntegerField(null=True)),
                ("sessions", models.PositiveBigIntegerField(null=True)),
                ("servers_by_state", models.JSONField(default=dict)),
                ("servers_as_of", models.DateTimeField(null=True)),
                ("first_seen_at", models.DateTimeField()),
                ("missing_since", models.DateTimeField(null=True)),
                ("vanished_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Difference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("project", models.CharField(max_length=64)),
                ("group_id", models.CharField(max_length=1000)),
                ("group_name", models.CharField(max_length=1000)),
                ("path", models.CharField(blank=True, max_length=64)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="GroupTag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("project", models.CharField(max_length=64)),
                ("key", models.CharField(max_length=1000)),
                ("value", models.CharField(blank=True, max_length=1000)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LoadSample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(choices=[("raw", "Raw"), ("hour", "Hour"), ("day", "Day")], max_length=4)),
                ("at", models.DateTimeField()),
                ("sessions", models.PositiveIntegerField()),
                ("ready", models.PositiveIntegerField()),
                ("servers", models.PositiveIntegerField()),
                ("capacity", models.PositiveBigIntegerField(null=True)),
                ("is_made_up", models.BooleanField(default=False)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ProjectCopy",
            fields=[
                ("slug", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("groups_as_of", models.DateTimeField(null=True)),
                ("groups_problem", models.CharField(blank=True, max_length=64)),
                ("groups_pages", models.PositiveIntegerField(default=0)),
                ("groups_pages_read", models.PositiveIntegerField(default=0)),
                ("servers_as_of", models.DateTimeField(null=True)),
                ("servers_problem", models.CharField(blank=True, max_length=64)),
                ("servers_pages", models.PositiveIntegerField(default=0)),
                ("servers_pages_read", models.PositiveIntegerField(default=0)),
                ("groups", models.PositiveIntegerField(default=0)),
                ("listed", models.PositiveIntegerField(default=0)),
                ("groups_on", models.PositiveIntegerField(default=0)),
                ("groups_off", models.PositiveIntegerField(default=0)),
                ("unreadable", models.PositiveIntegerField(default=0)),
                ("app_types", models.JSONField(default=list)),
                ("images", models.JSONField(default=list)),
                ("tags", models.JSONField(default=list)),
                ("viewed_at", models.DateTimeField(null=True)),
                ("asked_at", models.DateTimeField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("lease_holder", models.CharField(blank=True, max_length=64)),
                ("calls_left", models.FloatField(default=0)),
                ("calls_left_at", models.DateTimeField(null=True)),
                ("halved_until", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SearchRow",
            fields=[
                (
                    "group",
                    models.OneToOneField(
                        db_column="rowid",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="search_row",
                        serialize=False,
                        to="inventory.groupcopy",
                    ),
                ),
                ("parts", dashboard.inventory.search.PartsField(db_column="inventory_search")),
            ],
            options={
                "db_table": "inventory_search",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                condition=models.Q(("vanished_at", None)),
                fields=["project", "name_key", "id"],
                name="inventory_by_name",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                condition=models.Q(("vanished_at", None)),
                fields=["project", "status", "name_key", "id"],
                name="inventory_by_status_name",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                condition=models.Q(("vanished_at", None)),
                fields=["project", "app_type", "name_key", "id"],
                name="inventory_by_app_type_name",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                condition=models.Q(("vanished_at", None)),
                fields=["project", "role", "name_key", "id"],
                name="inventory_by_role_name",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                condition=models.Q(("vanished_at", None)),
                fields=["project", "image_name", "name_key", "id"],
                name="inventory_by_image_name_name",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("status"))),
                models.OrderBy(models.F("status"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_status",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("status"))),
                models.OrderBy(models.F("status"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_status",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsEmpty(models.F("app_type"))),
                models.OrderBy(models.F("app_type"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_app_type",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsEmpty(models.F("app_type"))),
                models.OrderBy(models.F("app_type"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_app_type",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsEmpty(models.F("image_name"))),
                models.OrderBy(django.db.models.functions.text.Lower("image_name"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_image",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsEmpty(models.F("image_name"))),
                models.OrderBy(django.db.models.functions.text.Lower("image_name"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_image",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("disk_size"))),
                models.OrderBy(models.F("disk_size"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_disk",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("disk_size"))),
                models.OrderBy(models.F("disk_size"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_disk",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("ready"))),
                models.OrderBy(models.F("ready"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_ready",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("ready"))),
                models.OrderBy(models.F("ready"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_ready",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("servers"))),
                models.OrderBy(models.F("servers"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_servers",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("servers"))),
                models.OrderBy(models.F("servers"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_servers",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("sessions"))),
                models.OrderBy(models.F("sessions"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_sessions",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("sessions"))),
                models.OrderBy(models.F("sessions"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_sessions",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("app_groups"))),
                models.OrderBy(models.F("app_groups"), descending=False),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_up_app_groups",
            ),
        ),
        migrations.AddIndex(
            model_name="groupcopy",
            index=models.Index(
                models.F("project"),
                models.OrderBy(dashboard.inventory.ordering.IsNull(models.F("app_groups"))),
                models.OrderBy(models.F("app_groups"), descending=True),
                models.OrderBy(models.F("name_key")),
                models.OrderBy(models.F("id")),
                condition=models.Q(("vanished_at", None)),
                name="inventory_down_app_groups",
            ),
        ),
        migrations.AddConstraint(
            model_name="groupcopy",
            constraint=models.UniqueConstraint(fields=("project", "group_id"), name="inventory_one_copy_of_a_group"),
        ),
        migrations.AddField(
            model_name="grouptag",
            name="group",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="tag_rows", to="inventory.groupcopy"
            ),
        ),
        migrations.AddField(
            model_name="loadsample",
            name="group",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="samples", to="inventory.groupcopy"
            ),
        ),
        migrations.AddIndex(
            model_name="grouptag",
            index=models.Index(fields=["project", "key", "value", "group"], name="inventory_by_tag"),
        ),
        migrations.AddConstraint(
            model_name="loadsample",
            constraint=models.UniqueConstraint(fields=("group", "span", "at"), name="inventory_one_sample_at_a_time"),
        ),
        migrations.RunPython(make_search),
    ]
