"""How gunicorn serves the dashboard. It reads this file when it starts in this directory: `gunicorn`.

Options on the command line win, for example `gunicorn --bind 0.0.0.0:8080 --threads 16`.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

wsgi_app = "dashboard.wsgi"
bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
threads = 8
"""Half of them may wait for the cloud at a time."""
timeout = 30
"""Seconds after which a process that does not respond at all is replaced. It does not limit a request."""
graceful_timeout = 60
"""Seconds for the requests that run when gunicorn stops. A change needs up to 50 if the cloud answers slowly."""
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (gunicorn removes its file at once)
"""In memory: a process whose heartbeat waits for a full or slow disk would be killed."""
control_socket_disable = True


def post_worker_init(worker: "Worker") -> None:
    """Prepare a web process before its first request. If this fails, gunicorn stops."""
    from dashboard.serving import start_web_process  # noqa: PLC0415 (only a web process loads Django)

    start_web_process(threads=worker.cfg.threads)


def post_request(_worker: "Worker", _request: Any, _environ: Any, _response: Any) -> None:
    """Collect garbage after the response has been sent."""
    from dashboard.serving import collect_garbage  # noqa: PLC0415 (as above)

    collect_garbage()
