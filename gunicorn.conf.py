"""gunicorn configuration. `gunicorn` reads this file from the current directory.

Options of the command override it, for example `gunicorn --bind 0.0.0.0:8080 --threads 16`.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

wsgi_app = "dashboard.wsgi"
bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
threads = 8
"""Half of the threads may wait for the cloud at a time."""
timeout = 30
"""Seconds without a heartbeat after which gunicorn replaces a process. It does not limit a request."""
graceful_timeout = 60
"""Seconds for the current requests when gunicorn stops. With a slow cloud, a change takes up to 50."""
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (gunicorn removes its file at once)
"""In memory: gunicorn would kill a process whose heartbeat waits for a full or slow disk."""
control_socket_disable = True


def post_worker_init(worker: "Worker") -> None:
    """Prepare a web process before its first request. If this fails, gunicorn stops."""
    from dashboard.serving import start_web_process  # noqa: PLC0415 (only a web process loads Django)

    start_web_process(threads=worker.cfg.threads)


def post_request(_worker: "Worker", _request: Any, _environ: Any, _response: Any) -> None:
    """Collect garbage after the response has been sent."""
    from dashboard.serving import collect_garbage  # noqa: PLC0415 (as above)

    collect_garbage()
