import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from dashboard.worker.jobs import Worker


class Command(BaseCommand):
    help = "Runs the background work until SIGTERM or Ctrl-C. Use it with STREAMWARDEN_WORKER=separate."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.check(databases=["default"])
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        worker = Worker()
        worker.start()
        self.stdout.write("The worker runs. Ctrl-C stops it.")
        self.stdout.flush()
        stopping.wait()
        worker.stop()
        self.stdout.write("The worker has stopped.")
