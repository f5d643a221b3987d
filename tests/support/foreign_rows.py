"""Rows as the server and other programs write them: past this package, through ``sqlite3``."""

from __future__ import annotations

import sqlite3
from contextlib import closing

ROW = {
    "id": "w", "status": "running", "isolation": "auto", "runtime": "go", "node_id": "n", "input_hash": "", "error": "",
    "created_at": "2026-02-18 11:00:00.000000+00:00", "started_at": "2026-02-18 12:00:00.000000+00:00",
}  # fmt: skip

TIMES = {
    "ours": "2026-02-18 12:00:00.000000+00:00",
    "server": "2026-02-18 12:00:02.5 +0000 UTC m=+0.1",
    "server, nanoseconds": "2026-02-18 12:00:02.123456789 +0000 UTC",
    "server, no decimals": "2026-02-18 12:00:02 +0000 UTC",
    "server, elsewhere": "2026-02-18 13:00:02.5 +0100 CET",
    "datetime('now')": "2026-02-18 12:00:02",
    "ISO 8601": "2026-02-18T12:00:02Z",
    "ISO 8601, elsewhere": "2026-02-18T07:00:02.25-05:00",
    "no time": "soon",
    "empty": "",
}
"""A time in every form that is read, and texts that are none."""

ODD = {
    **{f"started_at {name}": {"started_at": text} for name, text in TIMES.items()},
    **{f"created_at {name}": {"created_at": text} for name, text in TIMES.items()},
    "started_at NULL": {"started_at": None},
    "NULL texts": {"input_hash": None, "error": None},
    "unknown runtime": {"runtime": "rust"},
    "unknown isolation": {"isolation": "jail"},
    "empty isolation": {"isolation": ""},
    "negative limits": {"cpu_limit": -1, "mem_limit": -2, "timeout_s": -3, "duration_ms": -4},
    "empty result": {"output": b""},
    "id with a line break": {"id": "a\nb"},
    "long id": {"id": "x" * 300},
    "error that is not UTF-8": {"error": b"\xff\xfe"},
    "node that is not UTF-8": {"node_id": b"n\xff"},
    "start that is not UTF-8": {"started_at": b"\xff"},
}
"""What another program may have left in a running workload; bytes in a column of text are text that is not UTF-8."""


def write(path, **values):
    """Insert a row, of :data:`ROW` unless other values are given."""
    row = {**ROW, **values}
    marks = ["CAST(? AS TEXT)" if isinstance(row[name], bytes) and name != "output" else "?" for name in row]
    with closing(sqlite3.connect(path)) as connection, connection:
        statement = f"INSERT INTO workloads ({', '.join(row)}) VALUES ({', '.join(marks)})"
        connection.execute(statement, list(row.values()))


def raw(path, columns="*"):
    """The stored rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return connection.execute(f"SELECT {columns} FROM workloads ORDER BY rowid").fetchall()


class TooManyStatements(AssertionError):
    """A call did not come to an end."""


def limit(store, count=300):
    """Let a call fail that sends more statements than any that ends."""
    store.database.query_hooks.append(_Limit(count))


class _Limit:
    def __init__(self, count):
        self.left = count

    def __call__(self, event):
        self.left -= 1
        if self.left < 0:
            raise TooManyStatements(event.sql)
