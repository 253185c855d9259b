"""What the command writes: journals, results of `mango bench opt`, tables.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Iterator

__all__ = ["read_table", "read_journal"]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of JSON. A last one without its end was being written: it is left out."""
    data = path.read_bytes()
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as e:
            raise ValueError(f"{path}, line {number}: {e}") from None
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: an object expected")
        yield row


def read_table(path: Any) -> list[dict[str, Any]]:
    """The rows of a table: .csv, .jsonl, a .json list or object, or all .jsonl of a folder."""
    path = Path(path)
    if path.is_dir():
        return [row for p in sorted(path.glob("*.jsonl")) for row in _lines(p)]
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as f:
            return [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(f)]
    if path.suffix == ".json":
        whole = json.loads(path.read_text(encoding="utf-8"))
        return whole if isinstance(whole, list) else [whole]
    return list(_lines(path))


def read_journal(path: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A journal's header and its lines."""
    rows = list(_lines(Path(path)))
    if not rows:
        raise ValueError(f"{path}: a journal has a header")
    return rows[0], rows[1:]
