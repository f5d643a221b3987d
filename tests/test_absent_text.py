"""No way of writing leaves NULL in input_hash or error, where the server cannot scan it; absent is empty."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
import server_file
from commandline import vulcan
from peewee import SQL, Case, Value, fn

from vulcan_store import (
    Workload,
    claim_workload,
    create_workload,
    create_workloads,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
    update_workload_status,
)
from vulcan_store.current import CURRENT
from vulcan_store.operations.transfer import import_workloads
from vulcan_store.testing import make_workload

NONE = {"input_hash": None, "error": None}
ROW = {"id": "a", "status": "pending", "isolation": "auto", "runtime": "go", "node_id": ""}


def whole_row():
    values = {**ROW, "created_at": create_workload(runtime="go").created_at}
    return tuple(values.get(name) for name in server_file.COLUMNS)


def saved_without(**fields):
    workload = make_workload(id="a", input_hash="h", error="e")
    for name, value in fields.items():
        setattr(workload, name, value)
    workload.save()


def updated(changes):
    make_workload(id="a", input_hash="h", error="e")
    Workload.update(changes).where(Workload.id == "a").execute()


def selected(*columns):
    make_workload(id="other")
    named = [Workload.status, Workload.isolation, Workload.runtime, Workload.node_id, Workload.created_at]
    return Workload.select(Value("a"), *named, *columns), ["id", *(field.name for field in named)]


WAYS = {
    "create_workload": lambda: create_workload(id="a", runtime="go"),
    "create_workload(None)": lambda: create_workload(id="a", runtime="go", **NONE),
    "create_workload(Workload)": lambda: create_workload(Workload(id="a", runtime="go")),
    "create_workload(Workload of None)": lambda: create_workload(Workload(id="a", runtime="go", **NONE)),
    "create_workloads": lambda: create_workloads([{**ROW, **NONE}, Workload(id="b", runtime="go"), {"runtime": "go"}]),
    "update_workload": lambda: update_workload(make_workload(id="a", error="e").id, error=None),
    "update_workload_status": lambda: update_workload_status(make_workload(id="a").id, "failed"),
    "claim_workload": lambda: claim_workload(make_workload(id="a").node_id),
    "save": lambda: Workload(id="a", runtime="go").save(),
    "save None": lambda: Workload(id="a", runtime="go", **NONE).save(force_insert=True),
    "save a change to None": lambda: saved_without(error=None),
    "create": lambda: Workload.create(id="a", runtime="go"),
    "create None": lambda: Workload.create(id="a", runtime="go", **NONE),
    "insert": lambda: Workload.insert(id="a", runtime="go").execute(),
    "insert None": lambda: Workload.insert({Workload.id: "a", Workload.runtime: "go", Workload.error: None}).execute(),
    "insert an expression": lambda: Workload.insert(
        id="a", runtime="go", error=Value(None), input_hash=fn.NULLIF("x", "x")
    ).execute(),
    "insert_many": lambda: Workload.insert_many([{"id": "a", "runtime": "go"}]).execute(),
    "insert_many None": lambda: Workload.insert_many([{"id": "a", "runtime": "go", **NONE}]).execute(),
    "insert_many of tuples": lambda: Workload.insert_many(
        [("a", "go", None), ("b", "go", SQL("NULL"))], [Workload.id, Workload.runtime, Workload.error]
    ).execute(),
    "insert_many of whole tuples": lambda: Workload.insert_many(
        [whole_row()], Workload._meta.sorted_fields
    ).execute(),
    "insert on conflict": lambda: Workload.insert(id=make_workload(id="a", error="e").id, runtime="go").on_conflict(
        conflict_target=[Workload.id], update=NONE
    ).execute(),
    "bulk_create": lambda: Workload.bulk_create([Workload(id="a", runtime="go"), Workload(runtime="go", **NONE)]),
    "bulk_update": lambda: Workload.bulk_update([with_none(make_workload(id="a", error="e"))], ["error"]),
    "update": lambda: updated(NONE),
    "update by field": lambda: updated({Workload.error: None, Workload.input_hash: None}),
    "update with an expression": lambda: updated({"error": fn.NULLIF(Workload.error, "e")}),
    "update with a case": lambda: updated({Workload.input_hash: Case(None, [(Workload.id == "b", "x")], None)}),
    "update with a constant": lambda: updated({"error": SQL("NULL"), "input_hash": Value(None)}),
    "update with a query": lambda: updated({"error": Workload.select(Workload.node_id).where(Workload.id == "none")}),
    "set_by_id": lambda: Workload.set_by_id(make_workload(id="a", error="e").id, NONE),
    "import": lambda: import_workloads(
        CURRENT, [b'{"id": "a", "runtime": "go", "error": null}', b'{"runtime": "go"}']
    ),
    "from_dict": lambda: create_workload(Workload.from_dict({"id": "a", "runtime": "go"})),
}


def with_none(workload):
    workload.error = None
    return workload


class Stored:
    """The rows of a store by SQL, whichever engine it is on; times of a server are text as SQLite has them."""

    def __init__(self, database):
        self.database = database

    def execute(self, sql):
        rows = self.database.execute_sql(sql).fetchall()
        self.rows = [
            tuple(value.isoformat(" ") if hasattr(value, "isoformat") else value for value in row) for row in rows
        ]
        return self

    def fetchall(self):
        return self.rows


@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
def test_every_way_of_writing_leaves_what_the_server_scans(store, write):
    write()

    rows = server_file.scan(Stored(store.database))
    (written,) = [row for row in rows if row["id"] == "a"]
    emptied = {written["input_hash"], written["error"]}
    assert "" in emptied and emptied <= {"", "h", "e"}
    assert get_workload("a").to_dict().keys() & {"input_hash", "error"} == {
        name for name in ("input_hash", "error") if written[name]
    }


@pytest.mark.parametrize("fields", [("--error", "e"), ()], ids=["with", "without"])
def test_the_command_line_writes_what_the_server_scans(path, fields):
    created = vulcan("--db", path, "create", "--runtime", "python")

    vulcan("--db", path, "update", created.stdout.strip(), "--status", "failed", *fields)

    with closing(sqlite3.connect(path)) as connection:
        (row,) = server_file.scan(connection)
    assert (row["status"], row["error"], row["input_hash"]) == ("failed", "".join(fields[1:]), "")


def test_the_servers_own_json_is_imported_as_what_it_scans(path):
    form = {"id": "s", "status": "pending", "isolation": "", "runtime": "go", "node_id": "",
            "created_at": "2026-02-18T12:00:00.123456789Z"}

    imported = vulcan("--db", path, "import", stdin=json.dumps(form))

    assert imported.returncode == 0, imported.stderr
    with closing(sqlite3.connect(path)) as connection:
        (row,) = server_file.scan(connection)
    assert (row["id"], row["isolation"], row["input_hash"], row["error"]) == ("s", "", "", "")


@pytest.mark.parametrize("make", [
    lambda: Workload(runtime="go"), lambda: Workload(runtime="go", **NONE), lambda: create_workload(runtime="go"),
    lambda: Workload.get_by_id(make_workload().id), lambda: update_workload(make_workload(error="e").id, error=None),
    lambda: claim_workload(make_workload().node_id), lambda: list_workloads().items[0], lambda: with_none(Workload()),
], ids=["new", "of None", "created", "got", "updated", "claimed", "listed", "assigned"])
def test_what_is_absent_is_empty_in_python_too(store, make):
    make_workload()

    workload = make()

    assert (workload.input_hash, workload.error) == ("", "")


def test_an_outer_join_that_finds_nothing_gives_nothing(store):
    make_workload(id="a")
    other = Workload.alias()
    nobody = other.node_id == Workload.id
    query = Workload.select(Workload, other).join(other, "LEFT OUTER JOIN", on=nobody, attr="other")

    assert query.get().other is None


def test_a_comparison_with_another_column_is_peewees(store):
    make_workload(id="a", node_id="n", error="n")
    make_workload(id="b", node_id="n", error="e")

    assert [found.id for found in Workload.select().where(Workload.error == Workload.node_id)] == ["a"]
    assert [found.id for found in Workload.select().where(Workload.error != Workload.node_id)] == ["b"]


def test_opening_a_store_of_ones_own_changes_no_ddl(path):
    with open_store(path), closing(sqlite3.connect(path)) as connection:
        columns = connection.execute(
            "SELECT \"notnull\", dflt_value FROM pragma_table_info('workloads') WHERE name IN ('input_hash', 'error')"
        ).fetchall()

    assert columns == [(0, None), (0, None)]
