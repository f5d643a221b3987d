"""What a write costs beside hand-written sqlite3, with the store's indexes and with one: rows of ``sqlite.py``.

Every contender writes the same durable rows, one transaction a call, ``synchronous=normal``. The functions of the store
check every value, notice a file that was replaced, keep what is final, and return the workload; raw statements do not.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from contextlib import suppress

from contenders import COLUMNS, INSERT, fields, row

import vulcan_store
from vulcan_store.models import clock
from vulcan_store.models.ids import new_id

ROWS, CALLS = 5_000, 40
RETURNING = f"RETURNING {', '.join(COLUMNS)}"
CREATE = (
    "INSERT INTO workloads (id, status, isolation, runtime, node_id, input_hash, error, created_at) "
    "VALUES (?, 'pending', 'auto', ?, '', '', '', ?)"
)
CLAIM = (
    "UPDATE workloads SET status = 'running', node_id = ?, started_at = ? WHERE id = (SELECT id FROM workloads "
    f"WHERE status = 'pending' ORDER BY created_at, id LIMIT 1) {RETURNING}"
)
COMPLETE = (
    "UPDATE workloads SET status = 'completed', output = ?, exit_code = 0, duration_ms = 12, finished_at = ? "
    f"WHERE id = ? AND status NOT IN ('completed', 'failed', 'killed') {RETURNING}"
)
RESULT = b"x" * 32


def now():
    return clock.to_text(clock.now())


class Raw:
    """sqlite3 by hand, on a copy of a store's file."""

    def __init__(self, path, indexes=None):
        self.connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("synchronous = normal", "foreign_keys = 1", "busy_timeout = 5000"):
            self.connection.execute(f"PRAGMA {pragma}")
        if indexes is not None:
            leave_indexes(self.connection, indexes)
        self.close = self.connection.close

    def create(self):
        workload_id = new_id()
        self.connection.execute(CREATE, (workload_id, "python", now()))
        return workload_id

    def create_full(self, values):
        self.connection.execute(INSERT, [
            clock.to_text(value) if name.endswith("_at") and value is not None else value
            for name, value in values.items()
        ])

    def claim(self):
        return self.connection.execute(CLAIM, ("node-1", now())).fetchall()[0][0]

    def complete(self, workload_id):
        self.connection.execute(COMPLETE, (RESULT, now(), workload_id)).fetchall()


class Store:
    """The package."""

    def __init__(self, path):
        self.store = vulcan_store.open_store(path, pragmas={"synchronous": "normal"}, current=False)
        self.close = self.store.close

    def create(self):
        return self.store.create_workload(runtime="python").id

    def create_full(self, values):
        self.store.create_workload(**values)

    def claim(self):
        return self.store.claim_workload("node-1").id

    def complete(self, workload_id):
        self.store.update_workload(workload_id, status="completed", output=RESULT, exit_code=0, duration_ms=12)


class Huey:
    """huey's SQLite storage: a queue of bytes, and a result for each."""

    def __init__(self, path):
        from huey.storage import SqliteStorage

        self.storage = SqliteStorage(filename=path)
        self.storage.conn.execute("PRAGMA synchronous = normal")
        self.close = self.storage.close
        self.message = str(row(0)).encode()

    def live(self):
        self.storage.enqueue(self.message)
        message = self.storage.dequeue()
        self.storage.put_data("result", message)


class LiteQueue:
    """litequeue: a queue of text, whose messages are marked as done."""

    def __init__(self, path):
        from litequeue import LiteQueue as Queue

        self.queue = Queue(path)
        self.close = self.queue.conn.close
        self.queue.conn.execute("PRAGMA synchronous = normal")

    def live(self):
        self.queue.put("python")
        self.queue.done(self.queue.pop().message_id)


def leave_indexes(connection, indexes):
    """Put other indexes in the place of the store's."""
    names = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'workloads' AND sql IS NOT NULL"
    for (name,) in connection.execute(names).fetchall():
        connection.execute(f"DROP INDEX {name}")
    for number, index in enumerate(indexes):
        connection.execute(f"CREATE INDEX made_by_hand_{number} ON workloads {index}")


def live(contender):
    contender.create()
    contender.complete(contender.claim())


def per_call(works):
    start = time.perf_counter()
    for work in works:
        work()
    return (time.perf_counter() - start) / len(works)


ONE_INDEX = ["(status, created_at, id)"]
QUEUES = {"huey": Huey, "litequeue": LiteQueue}


def writing(folder):
    """The operations: a name, and for each contender a function that gives the seconds of one call."""
    opened = {}
    makers = {
        "sqlite3": Raw, "sqlite3, one index": lambda path: Raw(path, ONE_INDEX), "vulcan_store": Store,
    }  # fmt: skip
    for name, make in makers.items():
        path = str(folder / f"writing {name}.db")
        with vulcan_store.open_store(path, pragmas={"synchronous": "off"}) as store:
            store.create_workloads(map(finished, range(ROWS)))
        opened[name] = make(path)
    numbers = itertools.count(10_000_000)

    def create(contender):
        return per_call([contender.create] * CALLS)

    def create_full(contender):
        given = [{**fields(next(numbers)), "id": new_id(), "error": ""} for _ in range(CALLS)]
        return per_call([lambda values=values: contender.create_full(values) for values in given])

    def claim(contender):
        for _ in range(CALLS):
            contender.create()
        return per_call([contender.claim] * CALLS)

    def complete(contender):
        ids = [contender.create() for _ in range(CALLS)]
        return per_call([lambda key=key: contender.complete(key) for key in ids])

    def life(contender):
        return per_call([lambda: live(contender)] * CALLS)

    def clear(contender):
        # What one turn leaves pending would be claimed in the next one's place.
        with suppress(IndexError, AttributeError):
            while True:
                contender.claim()

    turns = {"create": create, "create full": create_full, "complete": complete, "claim": claim, "life": life}
    for operation, turn in turns.items():
        works = {}
        for name, contender in opened.items():
            def work(contender=contender, turn=turn):
                clear(contender)
                return turn(contender)

            works[name] = work
        if operation == "life":
            for name, make in QUEUES.items():
                with suppress(ImportError):
                    # In a folder of its own: litequeue's and huey's files come and go beside them.
                    (folder / name).mkdir()
                    queue = make(str(folder / name / "queue.db"))
                    works[name] = lambda queue=queue: per_call([queue.live] * CALLS)
        yield operation, works
    for contender in opened.values():
        contender.close()


def finished(number):
    return {**fields(number), "status": "completed"}
