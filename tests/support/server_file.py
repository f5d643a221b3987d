"""A file as the reference Go server writes it, made with plain ``sqlite3``."""

import re
import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS workloads (
    id          TEXT PRIMARY KEY,
    status      TEXT NOT NULL,
    isolation   TEXT NOT NULL,
    runtime     TEXT NOT NULL,
    node_id     TEXT NOT NULL,
    input_hash  TEXT,
    output      BLOB,
    exit_code   INTEGER,
    error       TEXT,
    cpu_limit   INTEGER,
    mem_limit   INTEGER,
    timeout_s   INTEGER,
    duration_ms INTEGER,
    created_at  DATETIME NOT NULL,
    started_at  DATETIME,
    finished_at DATETIME
);
CREATE TABLE IF NOT EXISTS log_lines (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    workload_id TEXT NOT NULL REFERENCES workloads(id),
    seq         INTEGER NOT NULL,
    line        TEXT NOT NULL,
    created_at  DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_log_lines_workload ON log_lines(workload_id, seq);
"""
COLUMNS = [
    "id", "status", "isolation", "runtime", "node_id", "input_hash", "output", "exit_code", "error", "cpu_limit",
    "mem_limit", "timeout_s", "duration_ms", "created_at", "started_at", "finished_at",
]
ROWS = [
    ("s1", "pending", "", "go", "", "", None, None, "", 1, 128, 30, None,
     "2026-02-18 12:00:01.123456789 +0000 UTC", None, None),
    ("s2", "running", "", "python", "n1", "h", None, None, "", None, None, None, None,
     "2026-02-18 12:00:02 +0000 UTC", "2026-02-18 12:00:02.5 +0000 UTC m=+0.123", None),
    ("s3", "completed", "microvm", "wasm", "n2", "", b"\x00\xff", 0, "", 0, 0, 0, 12,
     "2026-02-18 12:00:03.1 +0000 UTC m=+17.000000001", "2026-02-18 13:00:03.25 +0100 CET",
     "2026-02-18 05:00:04.1234567 -0700 MST"),
    ("s4", "paused", "firecracker", "zig", "n3", "", b"", -1, "odd", None, None, None, None,
     "2026-02-18 12:00:04.12 +0000 UTC", "2026-02-18 17:30:04 +0530 +0530", None),
]


def build(path):
    """Make a file with the server's tables, four workloads and a log line, and close it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(SCHEMA)
    connection.executemany(f"INSERT INTO workloads VALUES ({', '.join('?' * 16)})", ROWS)
    connection.execute("INSERT INTO log_lines (workload_id, seq, line) VALUES ('s2', 0, 'started')")
    connection.commit()
    connection.close()


# The layouts by which the server's driver makes a time of text, without the one of Go's own time.Time.String().
_LAYOUT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?([+-]\d\d:\d\d|Z)?")
_NULLABLE = ("exit_code", "cpu_limit", "mem_limit", "timeout_s", "duration_ms", "started_at", "finished_at")


def scan(database, sql="SELECT * FROM workloads ORDER BY id"):
    """Every row by its columns, as the server's Go struct takes it; fails where Scan would.

    ``database`` is whatever has an ``execute``; a column of the struct is a string, a []byte, a *int or a *time.Time.
    """
    found = []
    for row in database.execute(sql).fetchall():
        values = dict(zip(COLUMNS, row, strict=True))
        for name, value in values.items():
            if name in _NULLABLE and value is None or name == "output":
                continue
            if name.endswith("_at"):
                assert isinstance(value, str) and _LAYOUT.fullmatch(value), f"{name}: cannot parse {value!r} as a time"
            elif name in _NULLABLE:
                assert type(value) is int, f"{name}: converting {value!r} to int"
            else:
                assert isinstance(value, str), f"{name}: converting {value!r} to string is unsupported"
        found.append(values)
    return found


def raw(path, workload_id):
    """The stored values of a row, each with its storage class, as SQLite itself sees them."""
    connection = sqlite3.connect(path)
    columns = ", ".join(f"typeof({name}) || ' ' || quote({name})" for name in COLUMNS)
    row = connection.execute(f"SELECT {columns} FROM workloads WHERE id = ?", (workload_id,)).fetchone()
    connection.close()
    return dict(zip(COLUMNS, row, strict=True))
