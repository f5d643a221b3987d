"""How much many processes get done on one file beside plain sqlite3: python tests/benchmarks/contention.py

All processes create workloads, then claim them, then complete what they claimed; each call is one transaction. The
two kinds take turns in the same run, on files with the same tables, indexes and pragmas, so that their ratio says
something wherever it is run.
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

from vulcan_store import open_store
from vulcan_store.models.ids import new_id

BUSY_TIMEOUT = 60_000
PROCESSES = (1, 2, 4, 8)

OPERATIONS = ("create", "claim", "update")

INSERT = (
    "INSERT INTO workloads (id, status, isolation, runtime, node_id, input_hash, error, created_at) "
    "VALUES (?, 'pending', 'auto', 'python', '', '', '', ?)"
)
CLAIM = """
    UPDATE workloads SET status = 'running', node_id = 'n', started_at = ?
    WHERE id = (SELECT id FROM workloads WHERE status = 'pending' ORDER BY created_at, id LIMIT 1) RETURNING *
"""
UPDATE = """
    UPDATE workloads SET status = 'completed', output = ?, finished_at = ?
    WHERE id = ? AND status NOT IN ('completed', 'failed', 'killed') RETURNING *
"""
RESULT = b"x" * 32


def moment():
    return datetime.now(UTC).isoformat(" ", "microseconds")


class VulcanStore:
    def __init__(self, path):
        self.store = open_store(path, pragmas={"busy_timeout": BUSY_TIMEOUT})
        self.close = self.store.close

    def create(self, _):
        self.store.create_workload(runtime="python")

    def claim(self, _):
        return self.store.claim_workload("n").id

    def update(self, workload_id):
        self.store.update_workload(workload_id, status="completed", output=RESULT)


class PlainSqlite:
    def __init__(self, path):
        self.connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT / 1000, isolation_level=None)
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = 1"):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()
        self.close = self.connection.close

    def create(self, _):
        self.connection.execute(INSERT, (new_id(), moment()))

    def claim(self, _):
        return self.connection.execute(CLAIM, (moment(),)).fetchall()[0][0]

    def update(self, workload_id):
        self.connection.execute(UPDATE, (RESULT, moment(), workload_id)).fetchall()


KINDS = {"vulcan_store": VulcanStore, "sqlite3": PlainSqlite}


def work(kind, path, rounds, barrier, results):
    user = KINDS[kind](path)
    found, given = [], [None] * rounds
    for operation in OPERATIONS:
        call, done, slowest = getattr(user, operation), [], 0.0
        barrier.wait()
        start = end = time.monotonic()
        for value in given:
            before = end
            done.append(call(value))
            end = time.monotonic()
            slowest = max(slowest, end - before)
        barrier.wait()
        found.append((start, end, slowest))
        given = done
    user.close()
    results.put(found)


def measure(kind, folder, count, rounds):
    """For each operation the calls per second of all processes together, and the slowest in milliseconds."""
    path = str(Path(folder, "contention.db"))
    open_store(path).close()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    processes = [context.Process(target=work, args=(kind, path, rounds, barrier, results)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    os.unlink(path)
    measured = {}
    for operation, times in zip(OPERATIONS, zip(*found, strict=True), strict=True):
        starts, ends, slowest = zip(*times, strict=True)
        measured[operation] = rounds * count / (max(ends) - min(starts)), max(slowest) * 1000
    return measured


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=150, help="calls of each operation by each process")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--folder", help="where the file is made, for another disk")
    options = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="vulcan-contention-", dir=options.folder)
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, {folder}\n"
        f"journal_mode=wal, synchronous=full, busy_timeout={BUSY_TIMEOUT}, the store's indexes; "
        f"{options.rounds} calls a process, medians of {options.repeats}\n"
    )
    found = {(kind, count): [] for kind in KINDS for count in PROCESSES}
    for repeat in range(options.repeats):
        for count in PROCESSES:
            for kind in list(KINDS)[:: 1 if repeat % 2 else -1]:
                found[kind, count].append(measure(kind, folder, count, options.rounds))
    shutil.rmtree(folder)

    print("operation  processes        vulcan_store             sqlite3   ratio  slowest call (ms), both")
    for operation in OPERATIONS:
        for count in PROCESSES:
            runs = {kind: [run[operation] for run in found[kind, count]] for kind in KINDS}
            ours, plain = ([rate for rate, _ in runs[kind]] for kind in KINDS)
            slowest = [max(slow for _, slow in runs[kind]) for kind in KINDS]
            ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, plain, strict=True))
            print(
                f"{operation:<9}  {count:>9}  {statistics.median(ours):>12.0f} /s"
                f"  {statistics.median(plain):>15.0f} /s  {ratio:>6.2f}  {slowest[0]:.0f}, {slowest[1]:.0f}"
            )


if __name__ == "__main__":
    main()
