"""The contenders of the benchmark: hand-written sqlite3, plain Peewee, this package, and SQLAlchemy's ORM."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta

import peewee

import vulcan_store
from vulcan_store.models import clock
from vulcan_store.engines.sqlite.pragmas import PRAGMAS
from vulcan_store.models.ids import new_id

COLUMNS = (
    "id status isolation runtime node_id input_hash output exit_code error cpu_limit mem_limit timeout_s duration_ms "
    "created_at started_at finished_at"
).split()
SELECT = f"SELECT {', '.join(COLUMNS)} FROM workloads"
INSERT = f"INSERT INTO workloads VALUES ({', '.join('?' * len(COLUMNS))})"
UPDATE = (
    "UPDATE workloads SET status = ?, started_at = CASE WHEN status = 'running' THEN started_at ELSE ? END "
    "WHERE id = ? AND status NOT IN ('completed', 'failed', 'killed') AND status <> ? "
    f"RETURNING {', '.join(COLUMNS)}"
)
PAGE = f"{SELECT} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?"
STATS = (
    "SELECT status, isolation, COUNT(*), AVG(CASE WHEN status = 'completed' THEN duration_ms END), "
    "COUNT(CASE WHEN status = 'completed' THEN duration_ms END) FROM workloads GROUP BY status, isolation"
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def fields(number):
    """The fields of a workload; one in twenty is pending, the others are completed."""
    created = START + timedelta(milliseconds=number)
    done = number % 20 != 0
    return {
        "id": f"{number:026d}",
        "status": "completed" if done else "pending",
        "isolation": ("microvm", "isolate", "gvisor")[number % 3],
        "runtime": ("go", "node", "python", "wasm")[number % 4],
        "node_id": f"node-{number % 8}" if done else "",
        "input_hash": f"{number:064x}",
        "output": b"x" * 32 if done else None,
        "exit_code": 0 if done else None,
        "error": None,
        "cpu_limit": 2,
        "mem_limit": 512,
        "timeout_s": 60,
        "duration_ms": number % 5_000 if done else None,
        "created_at": created,
        "started_at": created if done else None,
        "finished_at": created if done else None,
    }


def row(number):
    return tuple(clock.to_text(value) if isinstance(value, datetime) else value for value in fields(number).values())


class Raw:
    """Statements written by hand, values prepared, rows left as tuples."""

    name = "sqlite3"

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)
        for pragma, value in PRAGMAS.items():
            self.connection.execute(f"PRAGMA {pragma} = {value}")
        self.close = self.connection.close

    def prepare_create(self, number):
        values = (new_id(), *row(number)[1:])
        return lambda: self.connection.execute(INSERT, values)

    def get(self, workload_id):
        return self.connection.execute(f"{SELECT} WHERE id = ?", (workload_id,)).fetchone()

    def update(self, workload_id, status):
        values = status, "2026-02-18 11:12:42.123456+00:00", workload_id, status
        return self.connection.execute(UPDATE, values).fetchall()

    def page(self, limit, offset):
        execute = self.connection.execute
        execute("BEGIN")
        page = execute(PAGE, (limit, offset)).fetchall(), execute("SELECT COUNT(*) FROM workloads").fetchone()
        execute("COMMIT")
        return page

    def create_many(self, numbers):
        rows = [row(number) for number in numbers]

        def run():
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany(INSERT, rows)
            self.connection.execute("COMMIT")

        return run

    def stream(self):
        for _ in self.connection.execute(f"{SELECT} ORDER BY created_at DESC, id DESC"):
            pass

    def stats(self):
        return self.connection.execute(STATS).fetchall()


class Package:
    """This package."""

    name = "vulcan_store"

    def __init__(self, path):
        self.store = vulcan_store.open_store(path)
        self.close = self.store.close
        self.get = vulcan_store.get_workload
        self.update = vulcan_store.update_workload_status
        self.page = vulcan_store.list_workloads
        self.stats = vulcan_store.workload_stats

    def prepare_create(self, number):
        given = {name: value for name, value in fields(number).items() if name != "id"}
        return lambda: vulcan_store.create_workload(**given)

    def create_many(self, numbers):
        given = [fields(number) for number in numbers]
        return lambda: vulcan_store.create_workloads(given)

    def stream(self):
        for _ in vulcan_store.iter_workloads():
            pass


class Plain:
    """Peewee as its documentation writes it."""

    name = "peewee"

    def __init__(self, path):
        self.database = peewee.SqliteDatabase(path, pragmas=dict(PRAGMAS))
        text, number, moment = peewee.TextField, peewee.IntegerField, peewee.DateTimeField
        kinds = [text] * 6 + [peewee.BlobField, number, text] + [number] * 4 + [moment] * 3
        meta = type("Meta", (), {"database": self.database, "table_name": "workloads"})
        columns = {name: kind(null=True) for name, kind in zip(COLUMNS, kinds)}
        self.model = type("Plain", (peewee.Model,), {"Meta": meta, **columns, "id": text(primary_key=True)})
        self.close = self.database.close

    def prepare_create(self, number):
        given = fields(number)
        return lambda: self.model.create(**{**given, "id": new_id()})

    def get(self, workload_id):
        return self.model.get_by_id(workload_id)

    def update(self, workload_id, status):
        self.model.update(status=status, started_at=clock.now()).where(self.model.id == workload_id).execute()
        return self.model.get_by_id(workload_id)

    def page(self, limit, offset):
        order = self.model.created_at.desc(), self.model.id.desc()
        with self.database.atomic():
            return list(self.model.select().order_by(*order).limit(limit).offset(offset)), self.model.select().count()

    def create_many(self, numbers):
        given = [fields(number) for number in numbers]

        def run():
            with self.database.atomic():
                for batch in peewee.chunked(given, 100):
                    self.model.insert_many(batch).execute()

        return run

    def stream(self):
        for _ in self.model.select().order_by(self.model.created_at.desc(), self.model.id.desc()).iterator():
            pass

    def stats(self):
        model, count = self.model, peewee.fn.COUNT(peewee.SQL("*"))
        groups = model.select(model.status, model.isolation, count).group_by(model.status, model.isolation)
        mean = model.select(peewee.fn.AVG(model.duration_ms)).where(model.status == "completed")
        return list(groups.tuples()), mean.scalar()


def contenders():
    yield from (Raw, Plain, Package)
    with contextlib.suppress(ImportError):
        yield make_sqlalchemy()


def make_sqlalchemy():
    """SQLAlchemy's ORM, where it is installed."""
    import sqlalchemy as sa
    from sqlalchemy import event, orm

    registry = orm.registry()
    kinds = [sa.Text] * 6 + [sa.LargeBinary, sa.Integer, sa.Text] + [sa.Integer] * 4 + [sa.Text] * 3
    columns = [sa.Column(name, kind, primary_key=name == "id") for name, kind in zip(COLUMNS, kinds)]
    mapped = type("Mapped", (), {})
    registry.map_imperatively(mapped, sa.Table("workloads", registry.metadata, *columns))
    table = registry.metadata.tables["workloads"]

    class Alchemy:
        name = "sqlalchemy"

        def __init__(self, path):
            self.engine = sa.create_engine(f"sqlite:///{path}")

            @event.listens_for(self.engine, "connect")
            def set_pragmas(connection, _):
                for pragma, value in PRAGMAS.items():
                    connection.execute(f"PRAGMA {pragma} = {value}")

            self.close = self.engine.dispose

        def prepare_create(self, number):
            given = dict(zip(COLUMNS, row(number)))

            def run():
                with orm.Session(self.engine) as session, session.begin():
                    workload = mapped()
                    for name, value in {**given, "id": new_id()}.items():
                        setattr(workload, name, value)
                    session.add(workload)

            return run

        def get(self, workload_id):
            with orm.Session(self.engine) as session:
                return session.get(mapped, workload_id)

        def update(self, workload_id, status):
            with orm.Session(self.engine) as session, session.begin():
                workload = session.get(mapped, workload_id)
                workload.status, workload.started_at = status, clock.to_text(clock.now())

        def page(self, limit, offset):
            order = table.c.created_at.desc(), table.c.id.desc()
            with orm.Session(self.engine) as session:
                query = sa.select(mapped).order_by(*order).limit(limit).offset(offset)
                return session.scalars(query).all(), session.scalar(sa.select(sa.func.count()).select_from(table))

        def create_many(self, numbers):
            given = [dict(zip(COLUMNS, row(number))) for number in numbers]

            def run():
                with orm.Session(self.engine) as session, session.begin():
                    session.execute(sa.insert(mapped), given)

            return run

    return Alchemy
