"""The simulator as a WSGI application."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request

from dashboard.simulator.answers import Answer, Manner
from dashboard.simulator.contract import load_contract
from dashboard.simulator.controls import PREFIX, Controls
from dashboard.simulator.delivery import deliver
from dashboard.simulator.errors import CloudError, Code
from dashboard.simulator.exchange import Exchange, Later
from dashboard.simulator.fault_list import Drawn, FaultList
from dashboard.simulator.world import Settings, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_logger = logging.getLogger(__name__)
_UNANSWERED = frozenset((Manner.DROP, Manner.RESET, Manner.SILENCE, Manner.NOT_HTTP))


class Simulator:
    def __init__(self, settings: Settings) -> None:
        load_contract()  # now, and not while the first client waits
        self._latency = settings.latency_ms / 1000
        self._world = World(settings)
        self._faults = FaultList(settings.seed)
        self._faults.replace(settings.faults)
        self._later = Later()
        self._controls = Controls(self._world, self._faults, self._later)
        self._stopping = threading.Event()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        is_control = request.path.startswith(PREFIX)
        answer = self._controls.answer(request) if is_control else self._cloud_answer(request)
        return deliver(answer, environ, start_response, self._stopping)

    def resume(self) -> None:
        """As it was when it stopped, less what was waiting then."""
        self._stopping.clear()

    def stop(self) -> None:
        """Ends what is still waiting: stalls, drips and late changes."""
        self._stopping.set()
        self._later.cancel()

    def _cloud_answer(self, request: Request) -> Answer:
        drawn = self._faults.draw(request.method, request.path)
        body = _read(request, drawn)
        number = self._world.log.arrived(request, body)
        resets = self._world.resets
        self._pause(self._latency + (drawn.fault.delay_ms / 1000 if drawn else 0))
        if self._world.resets != resets:
            raise ConnectionAbortedError("the simulator was reset while the request waited")
        exchange = Exchange(request, body, number, self._world, self._later)
        answer = self._played(drawn, exchange)
        answer = replace(answer, headers={"X-Request-Id": exchange.request_id, **answer.headers})
        if answer.manner not in _UNANSWERED:
            self._world.log.answered(number, answer.status)
        return answer

    def _played(self, drawn: Drawn | None, exchange: Exchange) -> Answer:
        try:
            return drawn.play(exchange) if drawn else exchange.answer()
        except Exception:  # a group changed behind the dashboard's back may have members of any type
            _logger.exception("The simulator failed at request %d", exchange.number)
            return exchange.refusal(CloudError(Code.FAILED))

    def _pause(self, seconds: float) -> None:
        if seconds and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the simulator is stopping")


def _read(request: Request, drawn: Drawn | None) -> bytes:
    """The body, or the share of it that is read before a fault strikes."""
    try:
        if drawn is None or drawn.fault.kind.reads == 1.0:
            return request.get_data()
        size = int((request.content_length or 0) * drawn.fault.kind.reads)
        return request.stream.read(size) if size else b""
    except ClientDisconnected:
        raise ConnectionAbortedError("the client went away") from None


def create_app(settings: Settings | None = None) -> Simulator:
    return Simulator(settings or Settings())
