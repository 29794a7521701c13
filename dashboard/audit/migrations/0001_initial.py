"""Create the ledger's table, guards and views from the `.sql` files, and the tables of the other models."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parents[1] / "ledger" / "sql"


def make_ledger(apps, schema_editor):
    text = (SQL / f"{schema_editor.connection.vendor}.sql").read_text(encoding="utf-8")
    for statement in text.split(";\n\n"):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.RunPython(make_ledger),
        migrations.CreateModel(
            name="ChangeIntent",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=64, null=True)),
                ("at", models.DateTimeField()),
                ("project", models.CharField(max_length=64)),
                ("group_id", models.CharField(max_length=128)),
                ("group_name", models.CharField(max_length=255)),
                ("actor", models.CharField(max_length=150)),
                ("actor_id", models.BigIntegerField(null=True)),
                ("from_address", models.CharField(max_length=64)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("edit", "Edit"),
                            ("switch", "Switch"),
                            ("revert", "Revert"),
                            ("outside", "Change outside the dashboard"),
                            ("denied", "Refused attempt"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("previous_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "ordering": ["-number"],
                "permissions": [("view_ledger", "Can see the ledger")],
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="ChangeOutcome",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("applied", "applied"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                            ("not_sent", "not sent"),
                            ("not_applied", "not applied"),
                            ("conflict", "conflict"),
                            ("unknown", "unknown"),
                            ("denied", "denied"),
                        ],
                        max_length=16,
                    ),
                ),
                ("proof", models.TextField()),
                ("http_status", models.PositiveSmallIntegerField(null=True)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_msg", models.TextField(blank=True)),
                ("request_id", models.CharField(blank=True, max_length=128)),
                ("duration_ms", models.PositiveIntegerField(null=True)),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "ordering": ["number"],
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="FieldChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("field", models.CharField(max_length=64)),
                ("label", models.CharField(max_length=100)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
            ],
            options={
                "ordering": ["pk"],
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="SystemEvent",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=150)),
                ("actor_id", models.BigIntegerField(null=True)),
                ("from_address", models.CharField(max_length=64)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("sign_in", "{actor} signed in"),
                            ("sign_out", "{actor} signed out"),
                            ("sign_in_failed", "{actor} failed to sign in"),
                            ("sign_in_limited", "{actor} tried to sign in too often"),
                            ("roles", "The roles of {actor} changed"),
                            ("permissions", "A role changed"),
                            ("account", "The account of {actor} changed"),
                            ("unknown_group", "{actor} tried to change a group that the project does not have"),
                            ("limited", "{actor} reached a limit"),
                            ("archived", "{actor} archived old ledger rows"),
                        ],
                        max_length=16,
                    ),
                ),
                ("proof", models.TextField()),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "ordering": ["-number"],
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="TouchedField",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project", "field", "number", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("project", models.CharField(max_length=64)),
                ("field", models.CharField(max_length=64)),
                ("number", models.BigIntegerField()),
            ],
            options={
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="OpenChange",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("group_id", models.CharField(max_length=128)),
                ("begun_at", models.DateTimeField()),
                ("next_read_at", models.DateTimeField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["number"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Repeat",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("limited", models.CharField(blank=True, max_length=64)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(db_index=True)),
                ("count", models.PositiveIntegerField(default=0)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("facts", models.JSONField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AccessState",
            fields=[
                ("subject", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("state", models.JSONField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("first", models.BigIntegerField(default=1)),
                ("last", models.BigIntegerField(default=0)),
                ("last_hash", models.CharField(blank=True, max_length=64)),
                ("at", models.DateTimeField(null=True)),
                ("everything_at", models.DateTimeField(null=True)),
                ("bad_number", models.BigIntegerField(null=True)),
                ("problem", models.CharField(blank=True, max_length=32)),
                ("details", models.JSONField(blank=True, default=dict)),
                ("is_from_checkpoint", models.BooleanField(default=False)),
                ("leased_until", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
    ]
