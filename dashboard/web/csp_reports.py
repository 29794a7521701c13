"""`/csp-reports/`: browsers report violations of the Content Security Policy here.

Anyone can send a report, so a report costs one line of the log at most, and there are few lines.
"""

import json
import logging
import time
from collections import deque

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

logger = logging.getLogger(__name__)

MAX_BYTES = 8 * 1024
MAX_LINES = 10
SECONDS = 60
NAMES = ("document-uri", "effective-directive", "violated-directive", "blocked-uri", "source-file", "line-number")
MAX_VALUE = 200

_logged: deque[float] = deque(maxlen=MAX_LINES)
"""The times of the last lines of this process."""


@csrf_exempt
@require_POST
@login_not_required
def csp_report(request: HttpRequest) -> HttpResponse:
    """Log a report. At most `MAX_LINES` in `SECONDS` are logged, others are discarded."""
    if len(request.body) > MAX_BYTES:
        return HttpResponse(status=413)
    facts = _facts(request.body)
    if facts and _may_log():
        logger.warning("Content Security Policy violated: %s", json.dumps(facts))
    return HttpResponse(status=204)


def _facts(body: bytes) -> dict[str, str]:
    """The known members of the report, short and without addresses' queries. Empty if the body is no report."""
    try:
        report = json.loads(body)["csp-report"]
        found = {name: str(report[name]) for name in NAMES if name in report}
    except (ValueError, TypeError, LookupError, RecursionError):
        return {}
    return {name: value.partition("?")[0][:MAX_VALUE] for name, value in found.items()}


def _may_log() -> bool:
    now = time.monotonic()
    if len(_logged) == MAX_LINES and now - _logged[0] < SECONDS:
        return False
    _logged.append(now)
    return True
