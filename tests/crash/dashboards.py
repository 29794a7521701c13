"""Run dashboards in separate processes, and compare their ledger with the history of the simulator."""

import importlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from signal import SIGKILL
from typing import Any

from dashboard.server_groups.inputs import Value, to_text
from tests.conftest import DESIGN_POOL, PROJECT_ID, Simulated
from tests.markup import Page, words

WITHIN_SECONDS = 90
"""Far longer than a job takes."""
PASSWORD = "a pass phrase of the tests"
NewDatabase = Callable[[], str]
EDIT, SWITCH = (f"/projects/default/server-groups/{DESIGN_POOL}/{page}/" for page in ("edit", "switch"))
ALL_FIELDS: dict[str, Value] = {
    "name": "TEST",
    "app_type": "SESSION_DESKTOP_APP",
    "description": "new words",
    "server_group_status": False,
    "route_policy.max_session": 9,
    "route_policy.cpu_threshold": 71,
    "route_policy.gpu_threshold": 72,
    "route_policy.mem_threshold": 73,
    "storage_mount_policy": "SHARE",
    # The Marketplace image has a product ID and this private image has none, so all three change together.
    "image_type": "private",
    "image_id": "6e6d7a82-ecf4-5215-8977-8c74bca82463",
    "image_product_id": "",
    "system_disk_type": "ESSD",
    "system_disk_size": 200,
    "ou_name": "OU=Design,DC=corp,DC=example",
}
"""A new value for every field. One request may contain all of them, for a multi-session group in a directory."""
ONE_BY_ONE: Mapping[str, Value] = ALL_FIELDS | {"image_product_id": "00301-884212-0--0"}
"""New values for requests with one field. A Marketplace image needs a product ID, so that field is not empty."""


@dataclass(frozen=True)
class ChangeForm:
    """A form with the new values of fields, by path."""

    address: str
    values: Mapping[str, Value]

    @property
    def fields(self) -> dict[str, str]:
        if self.address == SWITCH:
            sent = {"status": "on" if self.values["server_group_status"] else "off"}
        else:
            sent = {path.replace(".", "__"): to_text(value) for path, value in self.values.items()}
            sent["confirm_image"] = "on"
        return {**sent, "reason": "INC-4711", "key": "one form"}


@dataclass(frozen=True)
class RunningJob:
    """A job in a separate process."""

    process: BaseProcess
    results: Connection

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.crash.process"])


def begin(environ: Mapping[str, str], **job: object) -> RunningJob:
    results, sender = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_run_job, args=(sender, environ, job))
    process.start()
    sender.close()
    return RunningJob(process, results)


def _run_job(results: Connection, environ: Mapping[str, str], job: Mapping[str, object]) -> None:
    importlib.import_module("tests.crash.process").run_job(results, environ, job)


def end(running: RunningJob) -> dict[str, Any] | None:
    """Wait for the process and return its result, or None if it was killed."""
    with running.results:
        found: dict[str, Any] | None = None
        assert running.results.poll(WITHIN_SECONDS)
        with suppress(EOFError):
            found = running.results.recv()
    running.process.join(WITHIN_SECONDS)
    assert running.process.exitcode == (-SIGKILL if found is None else 0)
    return found


def run(environ: Mapping[str, str], **job: object) -> dict[str, Any] | None:
    return end(begin(environ, **job))


def environment(database: str, simulator: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "tests.crash.settings",
        "STREAMWARDEN_ENV": "development",
        "DATABASE_URL": database,
        "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
        "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
        "WORKSPACE_ENDPOINT": simulator,
        "WORKSPACE_AUTH_TOKEN": "simulator-token",
    }


def is_shown_as_saved(html: str) -> bool:
    page = Page(html)
    notices = [words(notice.text) for notice in page.by_class("alert")]
    return bool(page.by_class("outcome-applied")) or "design-pool is off." in notices


def changes_made(simulator: Simulated) -> list[Any]:
    """Return the applied changes of the group, without those that the cloud made to its standby."""
    return [change for change in simulator.control("GET", "history")["changes"] if change["group"] == DESIGN_POOL]


def check(found: dict[str, Any], form: ChangeForm, simulator: Simulated, before: Mapping[str, Any]) -> None:
    """Check the ledger after a form was sent before and after a crash: one intent, one outcome, at most one PATCH."""
    rows = [row for row in found["rows"] if row["project"]]
    (intent,) = [row for row in rows if row["intent"] is None]
    outcomes = [row["outcome"] for row in rows if row["outcome"]]
    final = [outcome for outcome in outcomes if outcome != "unknown"]
    made = changes_made(simulator)

    assert (found["verified"], found["unsettled"]) == (len(found["rows"]), [])
    assert {row["field"]: (row["before"], row["after"]) for row in intent["changes"]} == {
        path: (value_of(before, path), value) for path, value in form.values.items()
    }
    assert len(final) == 1
    assert outcomes[-1:] == final
    assert len(made) == (final == ["applied"])
    assert is_shown_as_saved(found["again"]["page"]) == (final == ["applied"])
    for change in made:
        for path, value in form.values.items():
            assert (value_of(change["before"], path), value_of(change["after"], path)) == (
                value_of(before, path),
                value,
            )
    _check_sent(intent, form, simulator, before)


def _check_sent(intent: Mapping[str, Any], form: ChangeForm, simulator: Simulated, before: Mapping[str, Any]) -> None:
    """Check for at most one PATCH, after its intent, with the values of the form and the other thresholds unchanged."""
    sent = simulator.requests("PATCH")
    assert len(sent) <= 1
    for patch in sent:
        assert datetime.fromisoformat(intent["at"]) <= datetime.fromisoformat(patch["time"])
        assert leaves(patch["body"]) == {
            **(
                {
                    p: v
                    for p, v in leaves(before).items()
                    if p in leaves(patch["body"]) and p.startswith("route_policy.")
                }
            ),
            **form.values,
        }


def leaves(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a body by path."""
    routing = {f"route_policy.{name}": value for name, value in document.get("route_policy", {}).items()}
    return {name: value for name, value in document.items() if name != "route_policy"} | routing


def value_of(group: Mapping[str, Any], path: str) -> Any:
    return leaves(group)[path]
