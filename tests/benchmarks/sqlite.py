"""How much slower than hand-written sqlite3 are the store's functions? Run it: python tests/benchmarks/sqlite.py --help

Every operation runs in rounds; in each round every contender runs it, one after another, on a file of its own with the
same rows, schema, indexes and pragmas. What is printed is, for each contender, the median of its times, and the median
of its ratios to hand-written sqlite3 in the same round.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peewee
from reading import reading, results, size
from writing import writing
from contenders import contenders, fields

import vulcan_store
from vulcan_store.engines.sqlite.pragmas import PRAGMAS

SMALL = 1_500
OPERATIONS = (
    "create", "get", "update", "list 20", "list 100", "create many",
    "first page", "deep page", "stream", "stats", "claim", "memory", "import", "writing", "reading", "results",
)  # fmt: skip


def fill(path, rows):
    with vulcan_store.open_store(path, pragmas={"synchronous": "off"}):
        vulcan_store.create_workloads(map(fields, range(rows)))


def timed(work, times=1):
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def in_turn(works, rounds):
    """The seconds of each work in each round; who begins changes from round to round."""
    names = list(works)
    seconds = {name: [] for name in names}
    for round_ in range(rounds):
        tell(f"round {round_ + 1} of {rounds}")
        for name in names[round_ % len(names):] + names[: round_ % len(names)]:
            seconds[name].append(works[name]())
    return seconds


def timed_in_turn(works, rounds):
    return in_turn({name: (lambda work=work: timed(work)) for name, work in works.items()}, rounds)


def tell(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def result(operation, seconds, base):
    for name, times in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(times, seconds[base])]
        yield {
            "operation": operation,
            "contender": name,
            "median_us": statistics.median(times) * 1e6,
            "ratio": statistics.median(ratios),
        }


def small(opened, rounds):
    """Operations on a store of 1,500 workloads, as functions of a contender that give one timed turn."""
    numbers = itertools.count(10_000_000)
    ids = itertools.cycle(f"{number:026d}" for number in range(0, SMALL, 7))
    statuses = itertools.cycle(["running", "pending"])
    pending = f"{20:026d}"

    def create(contender):
        works = [contender.prepare_create(next(numbers)) for _ in range(20)]
        return timed(lambda: [work() for work in works]) / len(works)

    def create_many(contender):
        return timed(contender.create_many(list(itertools.islice(numbers, 2_000)))) / 2_000

    turns = {
        "get": lambda contender: timed(lambda: contender.get(next(ids)), 300),
        "list 20": lambda contender: timed(lambda: contender.page(20, 0), 60),
        "list 100": lambda contender: timed(lambda: contender.page(100, 0), 20),
        "update": lambda contender: timed(lambda: contender.update(pending, next(statuses)), 20),
        "create": create,
        "create many": create_many,
    }
    for operation, turn in turns.items():
        yield operation, {c.name: (lambda c=c, turn=turn: turn(c)) for c in opened}, rounds


def large(opened, rows, rounds):
    """Operations on a store of many workloads; the slow contenders sit some of them out."""
    deep = rows // 10 * 9
    fast = [contender for contender in opened if contender.name in ("sqlite3", "vulcan_store")]
    yield "first page", {c.name: (lambda c=c: timed(lambda: c.page(20, 0), 3)) for c in opened}, rounds
    yield "deep page", {c.name: (lambda c=c: timed(lambda: c.page(20, deep))) for c in opened}, rounds
    yield "stream", {c.name: (lambda c=c: timed(c.stream)) for c in fast}, max(3, rounds // 5)
    yield "stats", {c.name: (lambda c=c: timed(c.stats)) for c in fast}, max(3, rounds // 3)


def claim(folder, rows, rounds):
    """Claims on many rows against claims on 5,000, where as many are pending."""
    stores = {}
    for name, count in (("5,000 rows", 5_000), (f"{rows:,} rows", rows)):
        path = folder / f"claim-{count}.db"
        if not path.exists():
            shutil.copy(folder / "large.db", path) if count == rows else fill(path, count)
        stores[name] = vulcan_store.open_store(path)

    def turn(store):
        claimed = []
        with vulcan_store.open_store(store.target):
            seconds = timed(lambda: claimed.append(vulcan_store.claim_workload("node-1").id), 10)
            for workload_id in claimed:
                vulcan_store.update_workload_status(workload_id, "pending")
        return seconds

    seconds = in_turn({name: (lambda store=store: turn(store)) for name, store in stores.items()}, rounds)
    for store in stores.values():
        store.close()
    return result("claim", seconds, "5,000 rows")


def memory(folder, rows):
    """By how much the largest resident size grows while many rows are loaded and streamed, in a process of its own."""
    code = (
        "import resource, sys; import vulcan_store as v; from contenders import fields\n"
        "size = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "with v.open_store(sys.argv[1], pragmas={'synchronous': 'off'}):\n"
        "    v.create_workloads(map(fields, range(1_000))); [w for w in v.iter_workloads()]; before = size()\n"
        "    v.create_workloads(map(fields, range(1_000, int(sys.argv[2])))); sum(1 for w in v.iter_workloads())\n"
        "print(size() - before)"
    )
    done = subprocess.run(
        # By way of a shell: the largest size begins with that of the process that starts this one.
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", code, str(folder / "memory.db"), str(rows)],
        cwd=Path(__file__).parent, check=True, capture_output=True, text=True,
    )  # fmt: skip
    yield {"operation": "memory", "contender": "vulcan_store", "growth_mb": float(done.stdout)}


def imports(rounds):
    # As after an ordinary installation: compiled, and without drivers that importing Peewee would import.
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def turn(module):
            code = (
                "import sys, time; sys.modules.update(psycopg=None, psycopg2=None); start = time.perf_counter(); "
                f"import {module}; print(time.perf_counter() - start)"
            )
            command = [sys.executable, "-c", code]
            return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)

        works = {name: (lambda name=name: turn(name)) for name in ("peewee", "vulcan_store")}
        for work in works.values():
            work()
        return result("import", in_turn(works, rounds), "peewee")


def measure(folder, rows, rounds, wanted):
    for kind, count in (("small", SMALL), ("large", rows)):
        groups = OPERATIONS[:6] if kind == "small" else OPERATIONS[6:11]
        if not wanted.intersection(groups):
            continue
        tell(f"filling {count:,} rows")
        fill(folder / f"{kind}.db", count)
        opened = []
        for contender in contenders():
            shutil.copy(folder / f"{kind}.db", folder / f"{kind}-{contender.name}.db")
            opened.append(contender(str(folder / f"{kind}-{contender.name}.db")))
        plans = small(opened, rounds) if kind == "small" else large(opened, rows, rounds)
        for operation, works, times in plans:
            if operation in wanted:
                yield from result(operation, in_turn(works, times), "sqlite3")
        for contender in opened:
            contender.close()
    if "writing" in wanted:
        for operation, works in writing(folder):
            seconds = in_turn(works, rounds)
            yield from result(f"{operation}, same", seconds, "sqlite3")
            yield from result(f"{operation}, one", seconds, "sqlite3, one index")
    if "reading" in wanted:
        if not (folder / "large.db").exists():
            fill(folder / "large.db", rows)
        for operation, works in reading(folder):
            yield from result(operation, timed_in_turn(works, max(3, rounds // 3)), next(iter(works)))
        yield from size(folder)
    if "results" in wanted:
        for operation, works in results(folder):
            yield from result(operation, timed_in_turn(works, rounds), next(iter(works)))
    if "claim" in wanted:
        yield from claim(folder, rows, rounds)
    if "memory" in wanted:
        yield from memory(folder, rows)
    if "import" in wanted:
        yield from imports(rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large store (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="rounds of each operation (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=OPERATIONS, help="an operation; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    options = parser.parse_args()
    print(
        f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Peewee {peewee.__version__}, "
        f"{os.cpu_count()} processors; pragmas {PRAGMAS}; {SMALL:,} and {options.rows:,} rows; "
        f"{options.rounds} rounds, medians",
        file=sys.stderr if options.json else sys.stdout,
    )
    if not options.json:
        print(f"{'operation':<20} {'contender':<18} {'microseconds':>14} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), options.rows, options.rounds, set(options.only or OPERATIONS)):
            tell("")
            if options.json:
                print(json.dumps(line), flush=True)
            elif "mb" in line:
                print("{operation:<20} {contender:<18} {mb:>11,.1f} MB {ratio:>7.2f}".format(**line), flush=True)
            elif "ratio" in line:
                print("{operation:<20} {contender:<18} {median_us:>14,.1f} {ratio:>7.2f}".format(**line), flush=True)
            else:
                print("{operation:<20} {contender:<18} {growth_mb:>11,.1f} MB".format(**line), flush=True)


if __name__ == "__main__":
    main()
