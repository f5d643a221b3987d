"""No way of writing leaves NULL in input_hash or error, where the server cannot scan it; absent is empty."""

import json
import sqlite3
from contextlib import closing

import server_file
from cases import each
from commandline import vulcan
from peewee import SQL, Value, fn

from vulcan_store import (
    Workload,
    create_workload,
    create_workloads,
    list_workloads,
    update_workload,
)
from vulcan_store.current import CURRENT
from vulcan_store.operations.transfer import import_workloads
from vulcan_store.testing import make_workload

NONE = {"input_hash": None, "error": None}
ROW = {"id": "a", "status": "pending", "isolation": "auto", "runtime": "go", "node_id": ""}


def changed_to_none():
    workload = make_workload(id="a", input_hash="h", error="e")
    workload.error = None
    return workload


def updated(changes):
    make_workload(id="a", input_hash="h", error="e")
    Workload.update(changes).where(Workload.id == "a").execute()


WAYS = {
    "create_workload(None)": lambda: create_workload(id="a", runtime="go", **NONE),
    "create_workload(Workload)": lambda: create_workload(Workload(id="a", runtime="go", **NONE)),
    "create_workloads": lambda: create_workloads([{**ROW, **NONE}, Workload(id="b", runtime="go"), {"runtime": "go"}]),
    "update_workload": lambda: update_workload(make_workload(id="a", error="e").id, error=None),
    "save": lambda: Workload(id="a", runtime="go", **NONE).save(),
    "save a change": lambda: changed_to_none().save(),
    "create": lambda: Workload.create(id="a", runtime="go", **NONE),
    "insert": lambda: Workload.insert({Workload.id: "a", Workload.runtime: "go", Workload.error: None}).execute(),
    "insert an expression": lambda: Workload.insert(
        id="a", runtime="go", error=Value(None), input_hash=fn.NULLIF("x", "x")
    ).execute(),
    "insert_many": lambda: Workload.insert_many([{"id": "a", "runtime": "go"}, {"runtime": "go", **NONE}]).execute(),
    "insert_many of tuples": lambda: Workload.insert_many(
        [("a", "go", None), ("b", "go", SQL("NULL"))], [Workload.id, Workload.runtime, Workload.error]
    ).execute(),
    "insert on conflict": lambda: Workload.insert(id=make_workload(id="a", error="e").id, runtime="go").on_conflict(
        conflict_target=[Workload.id], update=NONE
    ).execute(),
    "bulk_create": lambda: Workload.bulk_create([Workload(id="a", runtime="go"), Workload(runtime="go", **NONE)]),
    "bulk_update": lambda: Workload.bulk_update([changed_to_none()], ["error"]),
    "update": lambda: updated({Workload.error: None, "input_hash": None}),
    "update with an expression": lambda: updated({"error": fn.NULLIF(Workload.error, "e")}),
    "update with a query": lambda: updated({"error": Workload.select(Workload.node_id).where(Workload.id == "none")}),
    "set_by_id": lambda: Workload.set_by_id(make_workload(id="a", error="e").id, NONE),
    "import": lambda: import_workloads(
        CURRENT, [b'{"id": "a", "runtime": "go", "error": null}', b'{"runtime": "go"}']
    ),
}


@each("write", WAYS)
def test_every_way_of_writing_leaves_what_the_server_scans(store, write):
    write()

    rows = store.database.execute_sql("SELECT id, input_hash, error FROM workloads").fetchall()
    assert all(None not in row for row in rows)
    (emptied,) = [{*texts} for workload_id, *texts in rows if workload_id == "a"]
    assert "" in emptied and emptied <= {"", "h", "e"}
    for workload in list_workloads().items:
        assert "" not in [workload.to_dict().get("input_hash"), workload.to_dict().get("error")]


def test_the_servers_own_json_is_imported_as_what_it_scans(path):
    form = {"id": "s", "status": "pending", "isolation": "", "runtime": "go", "node_id": "",
            "created_at": "2026-02-18T12:00:00.123456789Z"}

    imported = vulcan("--db", path, "import", stdin=json.dumps(form))

    assert imported.returncode == 0, imported.stderr
    with closing(sqlite3.connect(path)) as connection:
        (row,) = server_file.scan(connection)
    assert (row["id"], row["isolation"], row["input_hash"], row["error"]) == ("s", "", "", "")


@each("make", [
    lambda: Workload(runtime="go", **NONE), lambda: create_workload(runtime="go"), lambda: changed_to_none(),
    lambda: Workload.get_by_id(make_workload().id), lambda: list_workloads().items[0],
])
def test_what_is_absent_is_empty_in_python_too(store, make):
    make_workload(id="b")

    workload = make()

    assert (workload.input_hash or "", workload.error) == (workload.input_hash, "")


def test_an_outer_join_that_finds_nothing_gives_nothing(store):
    make_workload(id="a")
    other = Workload.alias()
    nobody = other.node_id == Workload.id
    query = Workload.select(Workload, other).join(other, "LEFT OUTER JOIN", on=nobody, attr="other")

    assert query.get().other is None
