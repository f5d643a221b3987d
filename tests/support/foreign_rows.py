"""Rows as the server and other programs write them: past this package, through ``sqlite3``."""

import sqlite3
from contextlib import closing

ROW = {
    "id": "w", "status": "running", "isolation": "auto", "runtime": "go", "node_id": "n", "input_hash": "", "error": "",
    "created_at": "2026-02-18 11:00:00.000000+00:00", "started_at": "2026-02-18 12:00:00.000000+00:00",
}  # fmt: skip

TIMES = [
    "2026-02-18 12:00:00.000000+00:00",
    "2026-02-18 12:00:02.5 +0000 UTC m=+0.1",
    "2026-02-18 12:00:02.123456789 +0000 UTC",
    "2026-02-18 12:00:02 +0000 UTC",
    "2026-02-18 13:00:02.5 +0100 CET",
    "2026-02-18 12:00:02",
    "2026-02-18T12:00:02Z",
    "2026-02-18T07:00:02.25-05:00",
    "soon",
    "",
]
"""A time in every form that is read, and texts that are none."""

NUMBERS = [2461089.9671527776, 2461089.9671527800, 1771412345]
"""What ``julianday()`` and ``unixepoch()`` leave in a column of times: the first of them is larger when it is cut to
fifteen digits, the second smaller."""

ODD = [
    *({"created_at": text, "started_at": text} for text in TIMES),
    *({"created_at": number, "started_at": number} for number in NUMBERS),
    {"started_at": None},
    {"started_at": b"\xff"},
    {"input_hash": None, "error": None},
    {"runtime": "rust"},
    {"isolation": "jail"},
    {"isolation": ""},
    {"cpu_limit": -1, "mem_limit": -2, "timeout_s": -3, "duration_ms": -4},
    {"output": b""},
    {"output": "hello, world"},
    {"id": ""},
    {"id": "a\nb"},
    {"id": "x" * 300},
    {"error": b"\xff\xfe"},
    {"node_id": b"n\xff"},
]
"""What another program may have left in a running workload; bytes in a column of text are text that is not UTF-8."""


def write(path, *rows):
    """Insert rows: each is :data:`ROW` but for the values given."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for values in rows:
            row = {**ROW, **values}
            marks = ["CAST(? AS TEXT)" if isinstance(row[name], bytes) and name != "output" else "?" for name in row]
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
