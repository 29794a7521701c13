"""`make demo`: run the dashboard on this machine, with the simulator and accounts for all roles."""

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.accounts.models import User
from dashboard.demo.load_history import has_copies, make_up_loads

ACCOUNTS = {"helpdesk": "help desk", "admin": "administrator", "auditor": "auditor", "viewer": "viewer"}
HOST = "127.0.0.1"
STARTS_WITHIN = 30.0
SEED = 1


class Command(BaseCommand):
    help = "Runs the dashboard and the simulator on this machine, with demo accounts, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--simulator-port", type=int, default=8001)
        parser.add_argument("--password", default="", help="password of all accounts (default: random)")

    def handle(self, *_args: Any, port: int, simulator_port: int, password: str, **_options: Any) -> None:
        if settings.IS_PRODUCTION:
            raise CommandError("The demo prints the passwords of its accounts, so it does not run in production.")
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        passwords = {name: password or secrets.token_urlsafe(9) for name in ACCOUNTS}
        for name, role in ACCOUNTS.items():
            _create_account(name, role, passwords[name])
        _stop_on_signals()
        servers: list[subprocess.Popen[bytes]] = []
        try:
            started_at = timezone.now()
            servers.append(_start(_simulator(simulator_port)))
            _wait_for(f"http://{HOST}:{simulator_port}/_simulator/requests", servers[-1], "simulator", simulator_port)
            servers.append(_start(_dashboard(port)))
            _wait_for(f"http://{HOST}:{port}/healthz", servers[-1], "dashboard", port)
            self._print_addresses(port, simulator_port, passwords)
            _until(has_copies, servers)
            make_up_loads(seed=SEED, until=started_at)
            _until(lambda: False, servers)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped. The data is kept. `make demo-reset` deletes it.")
        finally:
            _stop(servers)

    def _print_addresses(self, port: int, simulator_port: int, passwords: dict[str, str]) -> None:
        lines = [
            "",
            f"Streamwarden   http://{HOST}:{port}/   (this machine only)",
            f"Simulator      http://{HOST}:{simulator_port}/   (instead of the cloud)",
            "",
            *(f"  {name:<10} {passwords[name]:<14} {role}" for name, role in ACCOUNTS.items()),
            "",
            "Ctrl-C stops both.",
        ]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _create_account(name: str, role: str, password: str) -> None:
    user, _ = User.objects.get_or_create(username=name)
    user.set_password(password)
    user.save()
    user.groups.set([Group.objects.get(name=role)])


def _simulator(port: int) -> list[str]:
    return [sys.executable, "manage.py", "simulator", "--port", str(port), "--seed", str(SEED), "--life"]


def _dashboard(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", f"{HOST}:{port}"),
        *("--log-level", "warning"),
    ]


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process in its own process group, so that Ctrl-C reaches only this command."""
    environ = {**os.environ, "STREAMWARDEN_WORKER": "embedded"}  # the demo starts no `manage.py worker`
    return subprocess.Popen(command, cwd=settings.BASE_DIR, env=environ, start_new_session=True)  # noqa: S603 (fixed commands)


def _wait_for(address: str, server: subprocess.Popen[bytes], name: str, port: int) -> None:
    give_up = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < give_up:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=1):  # noqa: S310 (http to this machine)
                return
        except OSError:
            time.sleep(0.1)
    raise CommandError(
        f"The {name} did not start. If port {port} is in use, choose others: make demo PORT=9000 SIMULATOR_PORT=9001"
    )


def _stop_on_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _until(is_done: Callable[[], bool], servers: list[subprocess.Popen[bytes]]) -> None:
    while not is_done():
        if any(server.poll() is not None for server in servers):
            raise CommandError("One of the two servers stopped. Its last output is above.")
        time.sleep(0.2)


def _stop(servers: list[subprocess.Popen[bytes]]) -> None:
    for server in reversed(servers):
        server.terminate()
    for server in servers:
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
