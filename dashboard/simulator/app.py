"""The simulator as a WSGI application."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request

from dashboard.simulator.contract import load_contract
from dashboard.simulator.controls import PREFIX, Controls
from dashboard.simulator.delivery import deliver
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.exchange import DelayedChanges, Exchange
from dashboard.simulator.fault_list import ActiveFault, FaultList
from dashboard.simulator.responses import WITHOUT_RESPONSE, SimulatedResponse
from dashboard.simulator.tenant import SimulatorSettings, Tenant

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_logger = logging.getLogger(__name__)


class Simulator:
    def __init__(self, settings: SimulatorSettings) -> None:
        load_contract()  # so that the first request does not wait for it
        self._latency = settings.latency_ms / 1000
        self._tenant = Tenant(settings)
        self._faults = FaultList(settings.seed)
        self._faults.replace(settings.faults)
        self._delayed = DelayedChanges()
        self._controls = Controls(self._tenant, self._faults, self._delayed)
        self._stopping = threading.Event()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        self._tenant.store.catch_up()
        is_control = request.path.startswith(PREFIX)
        response = self._controls.respond(request) if is_control else self._cloud_response(request)
        return deliver(response, environ, start_response, self._stopping)

    def resume(self) -> None:
        """Continue with the same state. Requests that waited when the simulator stopped are lost."""
        self._stopping.clear()

    def stop(self) -> None:
        """End stalled and slow responses, and drop delayed changes."""
        self._stopping.set()
        self._delayed.cancel()

    def _cloud_response(self, request: Request) -> SimulatedResponse:
        active = self._faults.match(request.method, request.path)
        body = _read(request, active)
        number = self._tenant.log.received(request, body)
        resets = self._tenant.resets
        self._pause(self._latency + (active.fault.delay_ms / 1000 if active else 0))
        if self._tenant.resets != resets:
            raise ConnectionAbortedError("the simulator was reset while the request waited")
        exchange = Exchange(request, body, number, self._tenant, self._delayed)
        response = self._respond(active, exchange)
        response = replace(response, headers={"X-Request-Id": exchange.request_id, **response.headers})
        if response.delivery not in WITHOUT_RESPONSE:
            self._tenant.log.responded(number, response.status)
        return response

    def _respond(self, active: ActiveFault | None, exchange: Exchange) -> SimulatedResponse:
        try:
            return active.respond(exchange) if active else exchange.respond()
        except Exception:  # PUT /_simulator/groups may have set members of any type
            _logger.exception("The simulator failed at request %d", exchange.number)
            return exchange.refuse(SimulatedError(Code.FAILED))

    def _pause(self, seconds: float) -> None:
        if seconds and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the simulator is stopping")


def _read(request: Request, active: ActiveFault | None) -> bytes:
    """The body, or the share of it that is read before a fault acts."""
    try:
        if active is None or active.fault.kind.reads == 1.0:
            return request.get_data()
        size = int((request.content_length or 0) * active.fault.kind.reads)
        return request.stream.read(size) if size else b""
    except ClientDisconnected:
        raise ConnectionAbortedError("the client closed the connection") from None


def create_app(settings: SimulatorSettings | None = None) -> Simulator:
    return Simulator(settings or SimulatorSettings())
