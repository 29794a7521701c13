"""`manage.py simulator`: runs the simulated cloud for the demo and for development."""

import signal
from argparse import ArgumentParser
from pathlib import Path
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.simulator.fault_list import WrongFaultError
from dashboard.simulator.request_checks import NotJsonError, read_json
from dashboard.simulator.server import NotLoopbackError, SimulatorServer

LARGEST_PORT = 65_535


class Command(BaseCommand):
    help = "Simulates Workspace Application Streaming, IMS and IAM on one port of this machine."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
        parser.add_argument("--port", type=_port, default=8001, help="0 takes a free port (default: %(default)s)")
        parser.add_argument(
            "--groups", type=_natural, default=42, help="number of server groups (default: %(default)s)"
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="the same seed makes the same data (default: %(default)s)"
        )
        parser.add_argument(
            "--latency-ms", type=_natural, default=0, help="delay of every response (default: %(default)s)"
        )
        parser.add_argument(
            "--faults", type=Path, help="JSON file with a list of faults, as for PUT /_simulator/faults"
        )

        parser.add_argument(
            "--life",
            action="store_true",
            help="servers and sessions follow the time of day; groups change by themselves",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        stopped = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        server = self._start(options)
        self.stdout.write(f"The simulated cloud listens on {server.url}")
        self.stdout.flush()
        stopped.wait()
        server.stop()

    def _start(self, options: dict[str, Any]) -> SimulatorServer:
        try:
            server = SimulatorServer(
                options["host"],
                options["port"],
                options["groups"],
                options["seed"],
                options["latency_ms"],
                _read_faults(options["faults"]),
                has_life=options["life"],
            )
            return server.start()
        except (NotLoopbackError, WrongFaultError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {error}") from None


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _port(text: str) -> int:
    number = _natural(text)
    if number > LARGEST_PORT:
        raise ValueError(text)
    return number


def _read_faults(path: Path | None) -> Any:
    if path is None:
        return ()
    try:
        return read_json(path.read_bytes())
    except (OSError, NotJsonError) as error:
        raise CommandError(f"Cannot read the faults in {path}: {error}") from None
