"""What fewer indexes do for rare filters, statistics and the size of a file: rows of ``tests/benchmarks/sqlite.py``."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing

from writing import leave_indexes
from contenders import SELECT, fields

import vulcan_store

EARLIER = [
    "(created_at, id)", "(status, created_at, id)", "(finished_at, id) WHERE finished_at IS NOT NULL",
    "(created_at, id, isolation, runtime) WHERE status || '' = 'pending'",
    "(input_hash, created_at, id) WHERE input_hash != ''", "(id) WHERE input_hash IS NULL OR error IS NULL",
]  # fmt: skip
RARE = {"runtime": "oci", "node_id": "rare", "isolation": "auto"}
MAKE_RARE = "UPDATE workloads SET runtime = 'oci', node_id = 'rare', isolation = 'auto' WHERE rowid % 100000 = 7"
RESULTS, RESULT = 1_500, b"x" * 1_000_000
PLAIN_STATS = (
    "SELECT status, COUNT(*) FROM workloads GROUP BY status",
    "SELECT isolation, COUNT(*) FROM workloads GROUP BY isolation",
    "SELECT AVG(duration_ms) FROM workloads WHERE status = 'completed'",
)


def reading(folder):
    """Rare pages against earlier indexes, and statistics: a name, and for each contender a function to be timed."""
    ours, earlier = folder / "reading.db", folder / "earlier.db"
    shutil.copy(folder / "large.db", ours)
    with closing(sqlite3.connect(ours, isolation_level=None)) as connection:
        connection.execute(MAKE_RARE)
        connection.execute("VACUUM")
    shutil.copy(ours, earlier)
    with closing(sqlite3.connect(earlier, isolation_level=None)) as connection:
        leave_indexes(connection, EARLIER)
        connection.execute("VACUUM")
    with (
        vulcan_store.open_store(ours, current=False) as store,
        closing(sqlite3.connect(earlier, isolation_level=None)) as before,
        closing(sqlite3.connect(ours, isolation_level=None)) as raw,
    ):
        for name, value in RARE.items():
            def page(name=name, value=value):
                before.execute("BEGIN")
                where = f"WHERE {name} = ?"
                order = "ORDER BY created_at DESC, id DESC LIMIT 20"
                before.execute(f"{SELECT} {where} {order}", (value,)).fetchall()
                before.execute(f"SELECT COUNT(*) FROM workloads {where}", (value,)).fetchone()
                before.execute("COMMIT")

            yield f"rare {name}", {
                "earlier indexes": page,
                "vulcan_store": lambda name=name, value=value: store.list_workloads(**{name: value}),
            }
        yield "three stats", {
            "sqlite3": lambda: [raw.execute(sql).fetchall() for sql in PLAIN_STATS],
            "vulcan_store": store.workload_stats,
        }


def results(folder):
    """Statistics of large results against those of as many without."""
    stores = {}
    for name, output in (("no results", None), ("1 MB each", RESULT)):
        stores[name] = vulcan_store.open_store(
            folder / f"{name}.db", pragmas={"synchronous": "off"}, current=False
        )
        stores[name].create_workloads({**fields(number), "output": output} for number in range(RESULTS))
    yield "stats of results", {name: store.workload_stats for name, store in stores.items()}
    for store in stores.values():
        store.close()


def size(folder):
    """How large the file is, against one with earlier indexes; both as VACUUM leaves them."""
    ours, earlier = (os.path.getsize(folder / name) for name in ("reading.db", "earlier.db"))
    yield {"operation": "size", "contender": "vulcan_store", "mb": ours / 1e6, "ratio": ours / earlier}
