"""The ledger's head, written down where who can change the database cannot reach: a file a day, and the log.

One line of JSON a checkpoint: number, hash, time, and an HMAC of them. Whoever keeps these lines elsewhere (a log
collector, a write-once bucket, a hook) can tell later that the end of the ledger was cut off or an old copy put back.
"""

import json
import logging
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from http.client import HTTPException
from io import SEEK_END
from pathlib import Path

from django.conf import settings

from dashboard.audit.ledger.chain import Head, canonical, mac_of, written

logger = logging.getLogger(__name__)

HOOK_SECONDS = 10
NEWEST_BYTES = 8_192
"""The newest lines of a file; writers that finish at once may put theirs down in another order."""


class UnreadableError(Exception):
    """A file of checkpoints has a line that is none."""


@dataclass(frozen=True)
class Checkpoint:
    number: int
    hash: str
    at: str
    hmac: str

    @classmethod
    def of(cls, head: Head) -> "Checkpoint":
        facts = {"number": head.number, "hash": head.hash, "at": written(head.at)}
        return cls(**facts, hmac=mac_of(canonical(facts)))  # type: ignore[arg-type]  # of one type each

    @property
    def is_signed(self) -> bool:
        facts = {name: value for name, value in asdict(self).items() if name != "hmac"}
        return self.hmac == mac_of(canonical(facts))

    @property
    def line(self) -> str:
        return canonical(asdict(self))


def write_checkpoint(head: Head) -> None:
    """After each change: a line in the log, and in a file of its own a day. A full disk here stops no change."""
    checkpoint = Checkpoint.of(head)
    logger.info("Checkpoint %s", checkpoint.line)
    if not settings.CHECKPOINT_DIRECTORY:
        return
    try:
        with _file_of(head.at).open("a", encoding="ascii") as file:
            file.write(f"{checkpoint.line}\n")
    except OSError:
        logger.exception("A checkpoint could not be written to %s", settings.CHECKPOINT_DIRECTORY)


def has_checkpoint(head: Head) -> bool:
    """Whether the file has it, where there is one; a log cannot be asked."""
    if not settings.CHECKPOINT_DIRECTORY:
        return True
    try:
        with _file_of(head.at).open("rb") as file:
            file.seek(max(file.seek(0, SEEK_END) - NEWEST_BYTES, 0))
            return Checkpoint.of(head).line.encode("ascii") in file.read().splitlines()
    except OSError:
        return False


def _file_of(moment: datetime) -> Path:
    return Path(settings.CHECKPOINT_DIRECTORY) / f"checkpoints-{moment:%Y-%m-%d}.jsonl"


def send_to_hook(head: Head) -> bool:
    """Hand the newest checkpoint to the hook: an address takes it as a POST, a command on its standard input.

    False when it was not taken.
    """
    line, hook = Checkpoint.of(head).line.encode("ascii"), settings.CHECKPOINT_HOOK
    try:
        if hook.startswith(("https://", "http://")):
            request = urllib.request.Request(hook, line, {"Content-Type": "application/json"})  # noqa: S310 (as checked)
            urllib.request.urlopen(request, timeout=HOOK_SECONDS).close()  # noqa: S310 (as checked)
        else:
            _run(hook, line + b"\n")
    except (OSError, HTTPException, subprocess.SubprocessError):
        logger.exception("The hook did not take checkpoint %s", head.number)
        return False
    return True


def _run(command: str, line: bytes) -> None:
    """What the shell has started ends with it when the time is over, so that hooks that hang do not gather."""
    with subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, process_group=0) as shell:  # noqa: S602 (the operator's own)
        try:
            shell.communicate(line, timeout=HOOK_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise
    if shell.returncode:
        raise subprocess.CalledProcessError(shell.returncode, command)


def read_checkpoints(paths: Iterable[Path]) -> Iterator[Checkpoint]:
    """Raises OSError, and UnreadableError for a line that is no checkpoint."""
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for place, line in enumerate(lines, 1):
                try:
                    point = Checkpoint(**json.loads(line))
                    yield replace(point, number=int(point.number))
                except (ValueError, TypeError) as error:
                    raise UnreadableError(f"{path}, line {place}: {error}") from error
