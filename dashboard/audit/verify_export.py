#!/usr/bin/env python3
"""Checks an export of the ledger (JSON Lines) with nothing but this file and Python: for an auditor who trusts nobody.

    python3 verify_export.py ledger.jsonl                    the whole ledger: every number there, each row on the last
    python3 verify_export.py --filtered part.jsonl           some rows of it: each right in itself
    python3 verify_export.py --key-file KEY ledger.jsonl     also that each row was sealed with the ledger's key
    python3 verify_export.py --checkpoint FILE ledger.jsonl  also that no end was cut off (lines kept elsewhere)

A row's hash is the SHA-256 of its JSON without `hash` and `mac`: keys in order, no blanks, ASCII. `previous_hash` is
the hash of the row before it, sixty-four zeros before the first. `mac` is the HMAC-SHA-256 of the hash.
Exit status 0: intact, 1: broken, with the first bad row, 2: could not run.
"""

import argparse
import hashlib
import hmac
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Broken(Exception):  # noqa: N818 (it reads as what it says)
    """The export is not the ledger that was written."""


def check(lines: Iterable[str], key: bytes, known: dict[int, str], *, is_filtered: bool) -> int:
    """Raises Broken at the first bad row. Returns how many rows there were."""
    number, last_hash, last_at, count = 0, "0" * 64, "", 0
    for line in lines:
        count += 1
        row, digest = read(line, f"after row {number}", key)
        follows = row["number"] == number + 1
        if not follows and not is_filtered:
            raise Broken(f"row {number + 1} is missing: row {row['number']} stands in its place")
        if follows and row["previous_hash"] != last_hash:
            raise Broken(f"row {row['number']} does not follow from the row before it")
        if follows and row["at"] < last_at:
            raise Broken(f"row {row['number']} is older than the row before it")
        number, last_hash, last_at = row["number"], digest, row["at"]
        if known.pop(number, digest) != digest:
            raise Broken(f"row {number} is not the row that a checkpoint knows")
    if known and not is_filtered:
        raise Broken(f"row {number + 1} is missing, though a checkpoint knows row {max(known)}: the end was cut off")
    return count


def read(line: str, where: str, key: bytes) -> tuple[dict[str, Any], str]:
    """A row and its hash, which is right."""
    try:
        row = json.loads(line)
        digest, mac = row.pop("hash"), row.pop("mac")
        number, _previous, _at = int(row["number"]), str(row["previous_hash"]), str(row["at"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Broken(f"the line {where} is no row of a ledger: {error}") from error
    facts = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    if hashlib.sha256(facts.encode()).hexdigest() != digest:
        raise Broken(f"row {number} was altered: its facts are not those its hash was made of")
    if key and hmac.digest(key, digest.encode(), "sha256").hex() != mac:
        raise Broken(f"row {number} was not sealed with this key")
    return row, digest


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks an export of the ledger.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--filtered", action="store_true", help="rows may be left out")
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--checkpoint", type=Path, action="append", default=[])
    chosen = parser.parse_args()
    try:
        key = chosen.key_file.read_bytes().strip() if chosen.key_file else b""
        points = [json.loads(line) for path in chosen.checkpoint for line in path.read_text().splitlines()]
        known = {point["number"]: point["hash"] for point in points}
        with chosen.export.open(encoding="utf-8", newline="\n") as lines:
            count = check(lines, key, known, is_filtered=chosen.filtered)
    except Broken as error:
        print(f"BROKEN: {error}")
        return 1
    except (OSError, ValueError, KeyError) as error:
        print(f"Could not run: {error}", file=sys.stderr)
        return 2
    print(f"{count} rows, intact{'' if key else ' (the key was not given, so who sealed them was not checked)'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
