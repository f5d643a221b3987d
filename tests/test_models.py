"""Workload is an ordinary Peewee model: queries and save() of the user's own."""


import peewee
import pytest
from cases import each
from workloads import NOON

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    update_workload,
)
from vulcan_store.testing import make_workload


def of_an_alias():
    other = Workload.alias()
    return other.select().where(other.status == "paused")


@each("query, count", [
    (lambda: Workload.select().where(Workload.status.in_(["paused", "completed"])), 2),
    (lambda: Workload.select().where(Workload.id > ""), 5),
    (lambda: Workload.select().where(Workload.duration_ms / 1000.0 > 1.25), 1),
    (lambda: Workload.select().where(Workload.duration_ms > -1), 2),
    (of_an_alias, 1),
])
def test_a_query_may_compare_a_column_with_what_it_cannot_hold(store, query, count):
    for number, fields in enumerate([{"duration_ms": 1500}, {"duration_ms": 5}, {}, {"status": "completed"}, {}]):
        make_workload(id=f"{number}", **fields)
    store.database.execute_sql("UPDATE workloads SET status = 'paused' WHERE id = '4'")

    assert query().count() == len(list(query())) == count


def saved(**fields):
    workload = Workload(**fields)
    assert workload.save() == 1
    return workload


@each("fields", [{}, {"id": "mine"}, {"status": "running"}, {"status": "failed", "exit_code": 1}])
@each("make", [saved, Workload.create])
def test_save_and_create_fill_in_what_create_workload_does(store, make, fields):
    expected = create_workload(runtime="go", created_at=NOON, **fields).to_dict()
    Workload.delete().execute()

    made = make(runtime="go", created_at=NOON, **fields)

    assert get_workload(made.id).to_dict() == made.to_dict() == {**expected, "id": made.id}
    assert len(made.id) == len(expected["id"])


def test_saving_a_stored_workload_writes_only_what_was_changed(store):
    made = make_workload(node_id="n")
    mine = get_workload(made.id)
    update_workload(made.id, node_id="changed meanwhile", exit_code=1)

    mine.error = "e"
    rows = mine.save()

    stored = get_workload(made.id)
    assert (rows, stored.node_id, stored.exit_code, stored.error) == (1, "changed meanwhile", 1, "e")


def save_all(workloads):
    for workload in workloads:
        workload.save()


@each("write", [save_all, Workload.bulk_create])
def test_what_was_refused_can_be_saved_once_it_is_right(store, write):
    workload = Workload(runtime="ruby", status="killed")
    with pytest.raises(InvalidWorkloadError):
        write([workload])
    assert list_workloads().total == 0
    assert write is not save_all or (workload.id, workload.finished_at) == (None, None)

    workload.runtime = "go"

    assert workload.save(only=["runtime"]) == 1
    assert get_workload(workload.id).runtime == "go"


def test_a_taken_id_is_refused_by_save_and_create(store):
    made = make_workload(id="taken")

    for write in (lambda: Workload(id="taken", runtime="go").save(), lambda: Workload.create(id="taken", runtime="go")):
        with pytest.raises(peewee.IntegrityError):
            write()

    assert get_workload("taken").__data__ == made.__data__


def test_bulk_create_writes_nothing_where_one_is_refused(store):
    made = [Workload(runtime="go"), Workload(runtime="go", exit_code="x")]

    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.bulk_create(made, 1)

    assert (refusal.value.field, refusal.value.position) == ("exit_code", 1)
    assert Workload.select().count() == 0


def test_a_stored_workload_gets_no_other_id(store):
    make_workload(id="a")
    for workload in (get_workload("a"), Workload.get_by_id("a")):
        workload.id, workload.isolation = "b", "gvisor"

        with pytest.raises(InvalidWorkloadError, match="id is 'b'; it must be as it was stored"):
            workload.save()
        assert [stored.id for stored in Workload.select()] == ["a"]


@each("size", [None, 2])
def test_bulk_create_fills_in_what_create_workload_does(store, size):
    made = [Workload(runtime="go", id="own"), *(Workload(runtime="wasm") for _ in range(4))]

    Workload.bulk_create(made, size)

    assert all(get_workload(workload.id).created_at == workload.created_at for workload in made)
    made[0].node_id = "n"
    assert made[0].save() == 1
    assert made[0].save() == 0 and get_workload("own").node_id == "n"
