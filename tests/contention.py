"""How much many processes get done on one file at once, beside plain sqlite3: ``python tests/contention.py``.

Each process creates a workload, updates it and lists a page, again and again. The two kinds take turns in the same
run, on files with the same tables, indexes and pragmas, so that their ratio says something wherever it is run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from vulcan_store import create_workload, list_workloads, open_store, update_workload_status
from vulcan_store.models.ids import new_id

BUSY_TIMEOUT = 60_000
PROCESSES = (1, 2, 4, 8)

INSERT = "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) VALUES (?, ?, ?, ?, ?, ?)"
UPDATE = """
    UPDATE workloads SET status = ?, started_at = ?
    WHERE id = ? AND status NOT IN ('completed', 'failed', 'killed') RETURNING *
"""
PAGE = "SELECT * FROM workloads WHERE status = ? ORDER BY created_at DESC, id DESC LIMIT 20"
TOTAL = "SELECT COUNT(*) FROM workloads WHERE status = ?"


def moment():
    return datetime.now(UTC).isoformat(" ", "microseconds")


class VulcanStore:
    def __init__(self, path):
        self.store = open_store(path, pragmas={"busy_timeout": BUSY_TIMEOUT})

    def create(self):
        return create_workload(runtime="python").id

    def update(self, workload_id):
        update_workload_status(workload_id, "running")

    def list(self):
        return list_workloads(status="running")

    def close(self):
        self.store.close()


class PlainSqlite:
    def __init__(self, path):
        self.connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT / 1000, isolation_level=None)
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = 1"):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()

    def create(self):
        workload_id = new_id()
        self.connection.execute(INSERT, (workload_id, "pending", "auto", "python", "", moment()))
        return workload_id

    def update(self, workload_id):
        self.connection.execute(UPDATE, ("running", moment(), workload_id)).fetchall()

    def list(self):
        with self.connection:
            self.connection.execute("BEGIN")
            rows = self.connection.execute(PAGE, ("running",)).fetchall()
            return rows, self.connection.execute(TOTAL, ("running",)).fetchone()

    def close(self):
        self.connection.close()


KINDS = {"vulcan_store": VulcanStore, "sqlite3": PlainSqlite}


def work(kind, path, rounds, barrier, results):
    user = KINDS[kind](path)
    slowest = 0.0
    barrier.wait()
    start = time.monotonic()
    for _ in range(rounds):
        before = time.monotonic()
        workload_id = user.create()
        created = time.monotonic()
        user.update(workload_id)
        updated = time.monotonic()
        user.list()
        slowest = max(slowest, created - before, updated - created, time.monotonic() - updated)
    end = time.monotonic()
    barrier.wait()
    user.close()
    results.put((start, end, slowest))


def measure(kind, folder, count, rounds):
    """Operations per second of all processes together, and the slowest single call in milliseconds."""
    path = str(Path(folder, "contention.db"))
    open_store(path).close()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    processes = [context.Process(target=work, args=(kind, path, rounds, barrier, results)) for _ in range(count)]
    for process in processes:
        process.start()
    starts, ends, slowest = zip(*(results.get(timeout=600) for _ in processes), strict=True)
    for process in processes:
        process.join()
    os.unlink(path)
    return 3 * rounds * count / (max(ends) - min(starts)), max(slowest) * 1000


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=150, help="of create, update and list by each process")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--folder", help="where the file is made, for another disk")
    options = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="vulcan-contention-", dir=options.folder)
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, {folder}\n"
        f"journal_mode=wal, synchronous=full, busy_timeout={BUSY_TIMEOUT}, the store's indexes; "
        f"{options.rounds} times create + update + list a process, median of {options.repeats}\n"
    )
    found = {(kind, count): [] for kind in KINDS for count in PROCESSES}
    for repeat in range(options.repeats):
        for count in PROCESSES:
            for kind in list(KINDS)[:: 1 if repeat % 2 else -1]:
                found[kind, count].append(measure(kind, folder, count, options.rounds))
    shutil.rmtree(folder)

    print(f"{'processes':>9}  {'vulcan_store':>20}  {'sqlite3':>20}  {'ratio':>6}  slowest call (ms), both")
    for count in PROCESSES:
        ours, plain = (statistics.median(rate for rate, _ in found[kind, count]) for kind in KINDS)
        slowest = [max(slow for _, slow in found[kind, count]) for kind in KINDS]
        print(
            f"{count:>9}  {ours:>14.0f} ops/s  {plain:>14.0f} ops/s  {ours / plain:>6.2f}"
            f"  {slowest[0]:.0f}, {slowest[1]:.0f}"
        )


if __name__ == "__main__":
    main()
