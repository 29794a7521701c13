"""Store the signed head of the ledger outside the database: in the log, in a file for each day, and through a hook.

A checkpoint is one line of JSON: number, hash, time, and their HMAC. Store the lines where a database owner cannot
change them (a log collector, a write-once bucket). They show later that the newest rows were deleted, or that an older
copy of the ledger was restored.
"""

import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from io import SEEK_END
from pathlib import Path

import requests
from django.conf import settings

from dashboard.audit.ledger.chain import Head, canonical, format_time, mac_of

logger = logging.getLogger(__name__)

HOOK_SECONDS = 10
NEWEST_BYTES = 8_192
"""The end of a file, in which a recent checkpoint stands. Concurrent writers can append in another order."""


class UnreadableError(Exception):
    """A line of a checkpoint file is not a checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    number: int
    hash: str
    at: str
    hmac: str

    @classmethod
    def of(cls, head: Head) -> "Checkpoint":
        facts = {"number": head.number, "hash": head.hash, "at": format_time(head.at)}
        return cls(**facts, hmac=mac_of(canonical(facts)))  # type: ignore[arg-type]  # of one type each

    @property
    def is_signed(self) -> bool:
        facts = {name: value for name, value in asdict(self).items() if name != "hmac"}
        return self.hmac == mac_of(canonical(facts))

    @property
    def line(self) -> str:
        return canonical(asdict(self))


def write_checkpoint(head: Head) -> None:
    """Append the checkpoint to the log and to the file of the day. A failure is logged and stops no change."""
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
    """Whether the file of the day has the checkpoint. True if no folder is set, because a log cannot be read."""
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
    """Send the checkpoint of the head to the hook, and return whether that succeeded.

    The hook is an address (POST) or a command (standard input).
    """
    line, hook = Checkpoint.of(head).line.encode("ascii"), settings.CHECKPOINT_HOOK
    try:
        if hook.startswith(("https://", "http://")):
            _post(hook, line)
        else:
            _run(hook, line + b"\n")
    except (OSError, subprocess.SubprocessError):  # an error of requests is an OSError
        logger.exception("Checkpoint %s could not be sent to the hook", head.number)
        return False
    return True


def _post(address: str, line: bytes) -> None:
    """A redirect is an error: it would turn the POST into a GET without the checkpoint."""
    headers = {"Content-Type": "application/json"}
    response = requests.post(address, line, headers=headers, timeout=HOOK_SECONDS, allow_redirects=False)
    response.raise_for_status()
    if response.is_redirect:
        raise requests.HTTPError(f"{address} redirects to {response.headers['Location']}")


def _run(command: str, line: bytes) -> None:
    """Run the hook. After a timeout, stop the shell and all processes that it started."""
    with subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, process_group=0) as shell:  # noqa: S602 (the operator's own)
        try:
            shell.communicate(line, timeout=HOOK_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise
    if shell.returncode:
        raise subprocess.CalledProcessError(shell.returncode, command)


def read_checkpoints(paths: Iterable[Path]) -> Iterator[Checkpoint]:
    """Read files of checkpoints. Raises OSError, and UnreadableError for a line that is not a checkpoint."""
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for place, line in enumerate(lines, 1):
                try:
                    point = Checkpoint(**json.loads(line))
                    yield replace(point, number=int(point.number))
                except (ValueError, TypeError) as error:
                    raise UnreadableError(f"{path}, line {place}: {error}") from error
