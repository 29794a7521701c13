"""`manage.py simulator`."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from dashboard.simulator.server import SimulatorServer

MANAGE = Path(__file__).parents[2] / "manage.py"


@pytest.fixture
def handlers() -> Iterator[None]:
    """Restore the signal handlers that the command replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class SignalledEvent(Event):
    """An event that sends a signal to this process instead of waiting."""

    def wait(self, timeout: float | None = None) -> bool:
        signal.raise_signal(signal.SIGTERM)
        return super().wait(timeout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prints_its_address_and_runs_until_a_signal(number: signal.Signals) -> None:
    arguments = [sys.executable, str(MANAGE), "simulator", "--port", "0", "--groups", "3"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  our own command
        line = process.stdout.readline() if process.stdout else ""
        address = line.rpartition(" ")[2].strip()
        status = requests.get(f"{address}/_simulator/requests", timeout=5).status_code
        process.send_signal(number)
        out, err = process.communicate(timeout=10)

    assert line.startswith("The simulated cloud listens on http://127.0.0.1:")
    assert (status, process.returncode, out, err) == (200, 0, "", "")


@pytest.mark.usefixtures("handlers")
def test_stops_on_a_signal(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "unavailable"}]')
    monkeypatch.setattr("dashboard.simulator.management.commands.simulator.Event", SignalledEvent)

    call_command("simulator", "--port", "0", "--faults", str(faults))

    assert capsys.readouterr().out.startswith("The simulated cloud listens on http://127.0.0.1:")


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("options", "has_life"), [([], False), (["--life"], True)])
def test_starts_with_life_only_if_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, options: list[str], has_life: bool
) -> None:
    started: list[bool] = []

    class Recorder(SimulatorServer):
        def start(self) -> "Recorder":
            started.append(self._app._tenant.store.life.is_on)
            return super().start()

    monkeypatch.setattr("dashboard.simulator.management.commands.simulator.Event", SignalledEvent)
    monkeypatch.setattr("dashboard.simulator.management.commands.simulator.SimulatorServer", Recorder)

    call_command("simulator", "--port", "0", *options)

    assert started == [has_life]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[{"fault": "flood"}]', "Fault 1: there is no fault 'flood'."),
        ('{"fault": "delay"}', "The faults must be a JSON list."),
        ("[", "Cannot read the faults in"),
    ],
)
def test_refuses_an_invalid_file_of_faults(tmp_path: Path, text: str, sentence: str) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(text)

    with pytest.raises(CommandError) as refusal:
        call_command("simulator", port=0, faults=faults)

    assert (str(refusal.value)[: len(sentence)], refusal.value.returncode) == (sentence, 1)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0 is not a loopback address"),  # noqa: S104  a host to refuse
        ({"faults": Path("no-such-file.json")}, "Cannot read the faults in no-such-file.json"),
    ],
)
def test_refuses_invalid_options(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("simulator", **{"port": 0, **options})


@pytest.mark.usefixtures("handlers")
def test_refuses_a_port_in_use() -> None:
    with SimulatorServer() as server, pytest.raises(CommandError, match="Cannot listen on"):
        call_command("simulator", port=int(server.url.rpartition(":")[2]))


@pytest.mark.parametrize(
    ("option", "number"), [("--groups", "-1"), ("--groups", "many"), ("--latency-ms", "-1"), ("--port", "65536")]
)
def test_refuses_a_number_out_of_range(option: str, number: str) -> None:
    with pytest.raises(CommandError, match=option):
        call_command("simulator", option, number)
