"""`/readyz`: whether this process can serve requests."""

import logging
from collections import Counter

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from dashboard.audit.ledger.guards import missing_guards
from dashboard.cloud.client import client_for

logger = logging.getLogger(__name__)


@require_safe
@login_not_required
def readyz(_request: HttpRequest) -> JsonResponse:
    """Ready if the database is available and has the guards of the ledger. The state of the cloud is only reported.

    It has no names of projects, because it needs no sign-in.
    """
    try:
        database, ledger = "ok", missing_guards()
    except DatabaseError:
        logger.exception("Not ready")
        database, ledger = "unavailable", []
    cloud = Counter("locked" if client_for(p).is_circuit_open else "ok" for p in settings.CLOUD_PROJECTS)
    is_ready = database == "ok" and not ledger
    report = {"database": database, "ledger": ledger, "cloud": cloud}
    return JsonResponse(report, status=200 if is_ready else 503)
