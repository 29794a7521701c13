"""The ledger is sealed: one append-only table, chained and keyed, read through views.

The table, its views and its guards are made by the statements of `schema.py`, to which the system checks hold the
database later. What was recorded before is taken over in the order of time, and gets new numbers, as intents and
outcomes are now counted together; a row of its own says that it was sealed only now.
"""

from django.db import migrations, models
from django.utils import timezone

from dashboard.audit import schema
from dashboard.audit.chain import GENESIS, canonical, hash_of, mac_of, written

OLD = ("FieldChange", "ChangeOutcome", "ChangeIntent")
SAID = {
    **dict.fromkeys(("outcome", "http_status", "duration_ms")),
    **dict.fromkeys(("proof", "error_code", "error_msg", "request_id"), ""),
}
FACTS = ("key", "project", "group_id", "group_name", "actor", "actor_id", "from_address", "kind", "reason")


def seal(apps, schema_editor):
    recorded = sorted(read_old(apps), key=lambda row: row[0])
    for name in OLD:
        schema_editor.delete_model(apps.get_model("audit", name))
    for statement in schema.statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)
    if recorded:
        write(schema_editor.connection, recorded)


def read_old(apps):
    """Yields (time, place, old number), the facts of the row, and for an intent whether it is settled."""
    intents = apps.get_model("audit", "ChangeIntent").objects.order_by("number").prefetch_related("fields", "outcomes")
    for intent in intents.iterator(chunk_size=500):
        changes = [
            {name: getattr(row, name) for name in ("field", "label", "before", "after")}
            for row in sorted(intent.fields.all(), key=lambda row: row.pk)
        ]
        facts = {name: getattr(intent, name) for name in FACTS} | {"changes": changes}
        outcomes = intent.outcomes.all()
        is_settled = any(row.outcome != "unknown" for row in outcomes)
        yield (intent.at, 0, intent.number), facts | SAID, is_settled
        for row in outcomes:
            said = {name: getattr(row, name) for name in SAID}
            yield (max(row.at, intent.at), 1, row.number), facts | said | {"key": None, "intent": intent.number}, True


def write(connection, recorded):
    numbers, unsettled, last_hash = {}, [], GENESIS
    rows = [*recorded, ((timezone.now(), 2, 0), notice(len(recorded)), True)]
    with connection.cursor() as cursor:
        for number, ((at, _, old_number), facts, is_settled) in enumerate(rows, 1):
            if facts.get("intent") is None:
                numbers[old_number] = number
            intent = numbers[facts["intent"]] if facts.get("intent") else None
            text = canonical(
                facts | {"intent": intent, "number": number, "at": written(at), "previous_hash": last_hash}
            )
            last_hash = hash_of(text)
            cursor.execute(
                f"INSERT INTO {schema.TABLE} (number, facts, hash, mac) VALUES (%s, %s, %s, %s)",
                [number, text, last_hash, mac_of(last_hash)],
            )
            if not is_settled:
                begun = connection.ops.adapt_datetimefield_value(at)
                unsettled.append((number, facts["project"], facts["group_id"], begun))
        cursor.executemany(
            "INSERT INTO audit_unsettled (number, project, group_id, at) VALUES (%s, %s, %s, %s)", unsettled
        )


def notice(count):
    told = f"{count} rows from before the ledger was chained and keyed were sealed as they stood."
    house = dict.fromkeys(FACTS, "") | {
        "key": None,
        "actor": "manage.py migrate",
        "actor_id": None,
        "kind": "sealed",
        "changes": [],
    }
    return house | SAID | {"outcome": "applied", "proof": told}


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Unsettled",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("project", models.CharField(max_length=64)),
                ("group_id", models.CharField(max_length=128)),
                ("at", models.DateTimeField()),
                ("leased_until", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["number"],
                "default_permissions": (),
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(seal)],
            state_operations=[
                *(migrations.DeleteModel(name) for name in OLD),
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
                        ("actor_id", models.BigIntegerField()),
                        ("from_address", models.CharField(max_length=64)),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("edit", "changed"),
                                    ("switch", "switched"),
                                    ("revert", "reverted"),
                                    ("denied", "tried to change"),
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
                                    ("applied", "Applied"),
                                    ("rejected", "Rejected"),
                                    ("not_sent", "not sent"),
                                    ("not_applied", "not applied"),
                                    ("conflict", "Conflict"),
                                    ("unknown", "Unknown"),
                                    ("denied", "Denied"),
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
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
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
                    name="HouseEvent",
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
                                    ("sign_in", "signed in"),
                                    ("sign_out", "signed out"),
                                    ("sign_in_failed", "could not sign in"),
                                    ("roles", "had roles changed"),
                                    ("archived", "took old rows out of the ledger"),
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
                                "project",
                                "field",
                                "number",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
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
            ],
        ),
    ]
