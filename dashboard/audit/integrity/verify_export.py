#!/usr/bin/env python3
"""Verify an export of the ledger (JSON Lines) with this file and Python alone, on any machine.

    python3 verify_export.py ledger.jsonl                    the whole ledger: numbers, hashes, links between rows
    python3 verify_export.py archive.jsonl ledger.jsonl      the same with archive files, oldest first
    python3 verify_export.py --key-file KEY ledger.jsonl     also that each row was sealed with the ledger's key
    python3 verify_export.py --checkpoint FILE ledger.jsonl  also that the newest rows were not deleted

A row's hash is the SHA-256 of its JSON without `hash` and `mac`: sorted keys, no spaces, ASCII. `previous_hash` is the
hash of the row before, or 64 zeros. `mac` is the HMAC-SHA-256 of the hash; `hmac` of a checkpoint that of its rest.
Rows may be missing only before the row that a row of kind `archived` names. Exit: 0 intact, 1 broken, 2 neither.
"""

import argparse
import fileinput
import hashlib
import json
from collections.abc import Iterable
from hmac import digest as hmac_of
from pathlib import Path
from typing import Any

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


class Broken(Exception):  # noqa: N818 (an auditor reads this file without the conventions of the project)
    """The export is not the ledger that was written."""


def broken_if(condition: bool, problem: str) -> None:
    if condition:
        raise Broken(problem)


def check(lines: Iterable[str], key: bytes, known: dict[int, str], *, is_filtered: bool) -> tuple[int, int]:
    """Raises Broken. Returns the counts of rows, and of rows after `known`. Leaves in `known` what nothing confirms."""
    number, last_hash = start = 0, "0" * 64
    count, newest, last_at, archived = 0, max(known, default=0), "", {start: 0}
    for count, line in enumerate(lines, 1):
        row, digest = read(line, f"after row {number}", key)
        if count == 1 and row["number"] > 1 and not is_filtered:
            number, last_hash = start = row["number"] - 1, row["previous_hash"]
        follows, missing, number = row["number"] == number + 1, number + 1, row["number"]
        broken_if(not follows and not is_filtered, f"row {missing} is missing: row {number} is in its place")
        broken_if(follows and row["previous_hash"] != last_hash, f"row {number} does not follow from the row before it")
        broken_if(follows and row["at"] < last_at, f"row {number} is older than the row before it")
        broken_if(known.pop(number, digest) != digest, f"row {number} does not match a checkpoint")
        last_hash, last_at = digest, row["at"]
        if row["kind"] == "archived":
            archived[tuple(change["after"] for change in row["changes"][:2])] = number
    broken_if(start not in archived, f"rows 1 to {start[0]} are missing, and no archive marker names them")
    is_cut_off = not is_filtered and newest > number
    broken_if(is_cut_off, f"row {number + 1} is missing, but a checkpoint names a later row: the end was deleted")
    known |= {archived[start]: last_hash} if 0 < newest < archived[start] else {}
    return count, max(number - max(newest, start[0]), 0)


def read(line: str, where: str, key: bytes) -> tuple[dict[str, Any], str]:
    """Returns the row and its verified hash. Raises Broken, also if the line has other characters than were written."""
    try:
        row = json.loads(line)
        _, mac, number = row.pop("hash"), row.pop("mac"), int(row["number"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Broken(f"the line {where} is not a row of a ledger: {error}") from error
    facts = canonical(row)
    digest = hashlib.sha256(facts.encode()).hexdigest()
    is_as_written = line.rstrip("\n") == f'{facts[:-1]},"hash":"{digest}","mac":"{mac}"}}'
    broken_if(not is_as_written, f"row {number} was altered: its facts do not match its hash")
    broken_if(bool(key) and hmac_of(key, digest.encode(), "sha256").hex() != mac, f"row {number} has another key's MAC")
    return row, digest


def main() -> None:
    parser = argparse.ArgumentParser(description="Verifies an export of the ledger.")
    parser.add_argument("export", type=Path, nargs="+")
    parser.add_argument("--filtered", action="store_true", help="rows may be missing; verify each row alone")
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--checkpoint", type=Path, action="append", default=[])
    options, known = parser.parse_args(), dict[int, str]()
    try:
        key = options.key_file.read_bytes().strip() or parser.error("the key is empty") if options.key_file else b""
        for point in (json.loads(line) for path in options.checkpoint for line in path.read_text().splitlines()):
            mac, number, digest = point.pop("hmac"), int(point["number"]), point["hash"]
            is_signed = not key or hmac_of(key, canonical(point).encode(), "sha256").hex() == mac
            broken_if(not is_signed, f"row {number} has a checkpoint that was not signed with this key")
            broken_if(known.setdefault(number, digest) != digest, f"row {number} has two different checkpoints")
        with fileinput.input(options.export, encoding="utf-8", errors="replace") as lines:
            count, uncovered = check(lines, key, known, is_filtered=options.filtered)
    except Broken as error:
        parser.exit(1, f"BROKEN: {error}\n")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        parser.exit(2, f"Could not run: {error}\n")
    new = f" Rows newer than every given checkpoint: {uncovered}." if options.checkpoint else ""
    print(f"{count} rows, intact{'' if key else ' (MACs not verified: no key was given)'}.{new}")
    if known:
        parser.exit(2, f"NOT CONFIRMED: rows {sorted(known)}. Give every archive file, or a newer checkpoint.\n")


if __name__ == "__main__":
    main()
