"""The store on PostgreSQL beside plain psycopg, and beside SQLite: python tests/benchmarks/postgres.py

Takes the server of $VULCAN_TEST_POSTGRES_URL, or starts one in a temporary folder. First single calls, in rounds in
which each contender has its turn, as medians of the ratios to plain psycopg, with statements that the server keeps
prepared and without; then processes that claim and complete workloads, as operations per second.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from contenders import COLUMNS, fields, row

import vulcan_store
from vulcan_store.models.ids import new_id

sys.path.append(str(Path(__file__).parents[1]))
from support.postgres_server import PostgresServer, fresh_schema  # noqa: E402

NAMES = ", ".join(COLUMNS)
INSERT = f"INSERT INTO workloads ({NAMES}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
BY_ID = f"SELECT {NAMES} FROM workloads WHERE id = %s"
PAGE = f"SELECT {NAMES} FROM workloads ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s"
CLAIM = (
    "UPDATE workloads SET status = 'running', node_id = %s, started_at = now() WHERE id = (SELECT id FROM workloads "
    "WHERE (status || '') = 'pending' ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) "
    f"RETURNING {NAMES}"
)
COMPLETE = (
    "UPDATE workloads SET status = 'completed', finished_at = now() "
    f"WHERE id = %s AND status NOT IN ('completed', 'failed', 'killed') RETURNING {NAMES}"
)
ROWS = 1_500


class Psycopg:
    """Statements written by hand, values prepared, rows left as tuples."""

    def __init__(self, url, prepare_threshold=None):
        self.connection = psycopg.connect(url, autocommit=True, prepare_threshold=prepare_threshold)

    def close(self):
        self.connection.close()

    def create(self, number):
        values = (new_id(), *row(number)[1:])
        return lambda: self.connection.execute(INSERT, values)

    def get(self, workload_id):
        return self.connection.execute(BY_ID, (workload_id,)).fetchone()

    def page(self):
        execute = self.connection.execute
        execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        page = execute(PAGE, (20, 0)).fetchall(), execute("SELECT COUNT(*) FROM workloads").fetchone()
        execute("ROLLBACK")
        return page

    def work(self):
        claimed = self.connection.execute(CLAIM, ("node-1",)).fetchone()
        if claimed is not None:
            self.connection.execute(COMPLETE, (claimed[0],)).fetchone()
        return claimed


class Package:
    """This package."""

    def __init__(self, url, prepare_threshold=None):
        prepared = "" if prepare_threshold is None else f"&prepare_threshold={prepare_threshold}"
        self.store = vulcan_store.open_store(f"{url}{prepared}", current=False)

    def close(self):
        self.store.close()

    def create(self, number):
        given = {name: value for name, value in fields(number).items() if name != "id"}
        return lambda: self.store.create_workload(**given)

    def get(self, workload_id):
        return self.store.get_workload(workload_id)

    def page(self):
        return self.store.list_workloads(20, 0)

    def work(self):
        claimed = self.store.claim_workload("node-1")
        if claimed is not None:
            self.store.update_workload_status(claimed.id, "completed")
        return claimed


def calls(url, rounds):
    contenders = {
        "psycopg": Psycopg(url),
        "psycopg, prepared": Psycopg(url, 5),
        "vulcan_store": Package(url),
        "vulcan_store, prepared": Package(url, 5),
    }
    numbers, ids = itertools.count(ROWS), itertools.cycle(f"{number:026d}" for number in range(0, ROWS, 7))
    operations = {
        "create": lambda contender: [contender.create(next(numbers)) for _ in range(20)],
        "get": lambda contender: [lambda: contender.get(next(ids))] * 100,
        "list 20": lambda contender: [contender.page] * 20,
    }
    for operation, prepare in operations.items():
        micros = {name: [] for name in contenders}
        for round_ in range(rounds):
            for name in sorted(contenders, reverse=bool(round_ % 2)):
                works = prepare(contenders[name])
                start = time.perf_counter()
                for work in works:
                    work()
                micros[name].append((time.perf_counter() - start) / len(works) * 1e6)
        for name, times in micros.items():
            ratio = statistics.median(time / plain for time, plain in zip(times, micros["psycopg"], strict=True))
            print(f"{operation:<8} {name:<23} {ratio:5.2f} ({statistics.median(times):,.0f} us)", flush=True)
    for contender in contenders.values():
        contender.close()


def worker(name, url):
    contender = {"psycopg": Psycopg, "vulcan_store": Package}[name](url)
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(1 for _ in iter(contender.work, None)))


def throughput(name, url, processes, workloads):
    with vulcan_store.open_store(url):
        vulcan_store.Workload.delete().execute()
        vulcan_store.create_workloads({"runtime": "python"} for _ in range(workloads))
    command = [sys.executable, __file__, "--worker", name, url]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in running:
        process.stdout.readline()
    start = time.perf_counter()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    done = [int(process.communicate()[0]) for process in running]
    assert sum(done) == workloads, done
    return workloads / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each call (default: %(default)s)")
    parser.add_argument("--workloads", type=int, default=1_000, help="how many are claimed (default: %(default)s)")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(*options.worker)
    server = None if os.environ.get("VULCAN_TEST_POSTGRES_URL") else PostgresServer(durable=True)
    try:
        with tempfile.TemporaryDirectory() as folder, fresh_schema(
            server.url() if server else os.environ["VULCAN_TEST_POSTGRES_URL"]
        ) as url:
            with vulcan_store.open_store(url) as store:
                ((version,),) = store.database.read("SHOW server_version")
                vulcan_store.create_workloads(map(fields, range(ROWS)))
                store.database.read("ANALYZE workloads")
            print(
                f"PostgreSQL {version} over loopback, psycopg {psycopg.__version__}, {os.cpu_count()} processors, "
                f"{ROWS:,} rows, {options.rounds} rounds, medians",
                flush=True,
            )
            calls(url, options.rounds)
            print(f"claim and complete {options.workloads:,} workloads, claims per second", flush=True)
            for processes in (1, 2, 4, 8):
                rates = {
                    "psycopg": throughput("psycopg", url, processes, options.workloads),
                    "on PostgreSQL": throughput("vulcan_store", url, processes, options.workloads),
                    "on SQLite": throughput(
                        "vulcan_store", str(Path(folder) / f"{processes}.db"), processes, options.workloads
                    ),
                }
                rated = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
                print(f"{processes} processes: {rated}", flush=True)
    finally:
        if server is not None:
            server.remove()


if __name__ == "__main__":
    main()
