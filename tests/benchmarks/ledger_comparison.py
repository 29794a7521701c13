"""Measure Django's admin with entries of django-auditlog: the same number of changes and the same searches."""

import statistics
import time
from pathlib import Path

from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import Client

from dashboard.activity.filters import PAGE_SIZE
from tests.benchmarks.bench_ledger import ROWS
from tests.benchmarks.ledger_growth import without_durability
from tests.made_up import ACTORS

ROUNDS = 3
PAGES = {
    "newest": "",
    "text": "q=design-pool-4",
    "person": f"actor__id__exact={1 + list(ACTORS).index('dana')}",
    "middle": f"p={ROWS // PAGE_SIZE // 2}",
}
_ENTRIES = """
    INSERT INTO auditlog_logentry (content_type_id, object_pk, object_repr, serialized_data, action, changes_text,
        changes, actor_id, remote_addr, timestamp, additional_data)
    SELECT %s, group_id, group_name, NULL, 1, '', (
        SELECT json_group_object(json_extract(value, '$.field'), json_array(
            cast(json_extract(value, '$.before') AS text), cast(json_extract(value, '$.after') AS text)))
        FROM json_each(facts, '$.changes')
    ), json_extract(facts, '$.actor_id'), json_extract(facts, '$.from_address'), at, json_object('reason', reason)
    FROM ledger.audit_ledgerrow ORDER BY number
"""


def measure(folder: Path) -> dict[str, float]:
    call_command("migrate", verbosity=0)
    for actor_id, name in enumerate(ACTORS, 1):
        user = get_user_model()(pk=actor_id, username=name, is_staff=True, is_superuser=True)
        user.save()
    with connection.cursor() as cursor:
        cursor.execute("ATTACH %s AS ledger", [str(folder / "ledger.sqlite3")])
        with without_durability():
            cursor.execute(_ENTRIES, [ContentType.objects.get_for_model(get_user_model()).pk])
    assert LogEntry.objects.count() >= ROWS
    figures = {"database, MB": (folder / "comparison.sqlite3").stat().st_size / 1e6}
    type(admin.site.get_model_admin(LogEntry)).list_per_page = PAGE_SIZE
    browser = Client(headers={"accept-encoding": "gzip"})
    browser.force_login(user, backend="dashboard.accounts.backends.RoleBackend")
    return figures | {f"{name}, ms": _median_ms(browser, query) for name, query in PAGES.items()}


def _median_ms(browser: Client, query: str) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        response = browser.get(f"/admin/auditlog/logentry/?{query}")
        times.append((time.perf_counter() - begun) * 1000)
        assert response.status_code == 200, query
    return statistics.median(times)
