"""Measure the edit form and the ledger page with a simulator that responds at once.

The figures are medians of one run on one machine. The reads of the cloud are also measured separately, so that you can
subtract them.
"""

import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 40
DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"


def main() -> dict[str, dict[str, float]]:
    """Run in a separate process, with separate settings and a new database."""
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {
            "STREAMWARDEN_ENV": "development",
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.page_settings",
            "BENCH_FOLDER": folder,
        }
        subprocess.run([sys.executable, "-m", "tests.benchmarks.bench_pages"], check=True, env=environ)
        lines = (Path(folder) / "figures").read_text(encoding="utf-8").splitlines()
    figures = {name: {"ms": float(ms), "kb": float(kb)} for name, ms, kb in (line.split("\t") for line in lines)}
    lines = [f"  {name:<44} {one['ms']:8.1f} ms {one['kb']:8.1f} kB compressed" for name, one in figures.items()]
    sys.stdout.write("\n".join(["", "Pages, medians of one run", *lines, ""]))
    return figures


def measure() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.template.loader import render_to_string
    from django.test import Client, RequestFactory

    from dashboard.accounts.models import User
    from dashboard.cloud.projects import load_projects
    from dashboard.server_groups.forms import ServerGroupForm
    from dashboard.server_groups.overview import read_shown
    from dashboard.server_groups.submission import Submission
    from dashboard.simulator.server import SimulatorServer

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("administrator")
    user.groups.add(Group.objects.get(name="administrator"))
    with SimulatorServer(groups=300) as server:
        settings.CLOUD_PROJECTS = load_projects(
            {
                "HUAWEICLOUD_SDK_PROJECT_ID": "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e",
                "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
                "WORKSPACE_ENDPOINT": server.url,
                "WORKSPACE_AUTH_TOKEN": "simulator-token",
            }
        )
        (project,) = settings.CLOUD_PROJECTS
        browser = Client(headers={"accept-encoding": "gzip"})
        browser.force_login(user, backend="dashboard.accounts.backends.RoleBackend")
        group = f"/projects/default/server-groups/{DESIGN_POOL}/"
        shown = read_shown(project, DESIGN_POOL)
        request = RequestFactory().get(f"{group}edit/")
        request.user = user

        def render_form() -> object:
            context = {"form": ServerGroupForm(Submission(shown)), "group": shown.group, "project": project}
            return render_to_string("server_groups/_edit_form.html", context, request)

        pages: dict[str, Callable[[], object]] = {
            "edit form, rendered (no cloud)": render_form,
            "complete edit page, with three reads": lambda: browser.get(f"{group}edit/").content,
            "the three reads of the edit page": lambda: read_shown(project, DESIGN_POOL),
            "ledger page": lambda: browser.get("/projects/default/audit/").content,
        }
        lines = [f"{name}\t{_median_ms(page)}\t{_kb(page())}" for name, page in pages.items()]
    (Path(os.environ["BENCH_FOLDER"]) / "figures").write_text("\n".join(lines), encoding="utf-8")


def _median_ms(page: Callable[[], object]) -> float:
    page()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        page()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def _kb(content: object) -> float:
    """Return the compressed size of a page or partial in kB, and 0 for other objects."""
    if isinstance(content, str):
        content = gzip.compress(content.encode())
    return len(content) / 1000 if isinstance(content, bytes) else 0.0


if __name__ == "__main__":
    measure()
