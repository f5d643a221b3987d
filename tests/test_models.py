"""Workload is an ordinary Peewee model: queries and save() of the user's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import peewee
import pytest

from vulcan_store import (
    InvalidWorkloadError,
    LogLine,
    Status,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    update_workload,
)
from vulcan_store.testing import make_workload

NOON = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def five(store):
    for number in range(5):
        make_workload(
            id=f"w{number}", status=("pending", "running")[number % 2], exit_code=number,
            created_at=NOON + timedelta(seconds=number),
        )


def test_where_and_order_by_of_ones_own(five):
    found = Workload.select().where((Workload.exit_code > 1) & (Workload.status == "pending")).order_by(Workload.id)

    assert [workload.id for workload in found] == ["w2", "w4"]
    assert {type(workload.status) for workload in found} == {Status}


def test_times_compare_as_moments(five):
    found = Workload.select().where(Workload.created_at >= NOON + timedelta(seconds=3))

    assert {workload.id for workload in found} == {"w3", "w4"}


@pytest.mark.parametrize("query, expected", [
    (lambda: Workload.select(), 5),
    (lambda: Workload.select().where(Workload.status == "running"), 2),
    (lambda: Workload.select().order_by(Workload.created_at), 5),
    (lambda: Workload.select().limit(3), 3),
    (lambda: Workload.select().paginate(2, 3), 2),
    (lambda: Workload.select(Workload.status).distinct(), 2),
    (lambda: Workload.select(Workload.status).group_by(Workload.status), 2),
    (lambda: Workload.select().join(LogLine), 0),
    (lambda: Workload.select().where(Workload.exit_code > 1) | Workload.select().where(Workload.exit_code < 1), 4),
], ids=["all", "where", "order", "limit", "paginate", "distinct", "group", "join", "union"])
def test_count_is_the_number_of_rows(five, query, expected):
    assert query().count() == len(list(query())) == expected


def test_count_can_clear_the_limit(five):
    assert Workload.select().limit(2).count(clear_limit=True) == 5


@pytest.mark.parametrize("read, expected", [
    (lambda: Workload.get_by_id("w1").exit_code, 1),
    (lambda: Workload.get(Workload.exit_code == 3).id, "w3"),
    (lambda: Workload.get_or_none(Workload.id == "nobody"), None),
    (lambda: Workload.select(peewee.fn.MAX(Workload.exit_code)).scalar(), 4),
    (lambda: list(Workload.select(Workload.id).where(Workload.exit_code < 2).order_by(Workload.id).tuples()),
     [("w0",), ("w1",)]),
    (lambda: list(Workload.select(Workload.status).where(Workload.id == "w1").dicts()), [{"status": "running"}]),
    (lambda: Workload.delete().where(Workload.status == "running").execute(), 2),
], ids=["get_by_id", "get", "get_or_none", "scalar", "tuples", "dicts", "delete"])
def test_what_peewee_offers_works(five, read, expected):
    assert read() == expected


def of_an_alias():
    other = Workload.alias()
    return other.select().where(other.status == "paused")


@pytest.mark.parametrize("query, count", [
    (lambda: Workload.select().where(Workload.status == "paused"), 1),
    (lambda: Workload.select().where(Workload.status.in_(["paused", "completed"])), 2),
    (lambda: Workload.select().where(Workload.status.contains("aus")), 1),
    (lambda: Workload.select().where(Workload.runtime.startswith("g")), 4),
    (lambda: Workload.select().where(Workload.id > ""), 5),
    (lambda: Workload.select().where(Workload.duration_ms / 1000.0 > 1.25), 1),
    (lambda: Workload.select().where(Workload.duration_ms > -1), 2),
    (lambda: Workload.select().where(Workload.duration_ms.between(0.5, 1499.5)), 1),
    (of_an_alias, 1),
], ids=["word", "words", "contains", "startswith", "id", "quotient", "negative", "between", "alias"])
def test_a_query_may_compare_a_column_with_what_it_cannot_hold(store, query, count):
    for number, fields in enumerate([{"duration_ms": 1500}, {"duration_ms": 5}, {}, {"status": "completed"}, {}]):
        make_workload(id=f"{number}", runtime="go" if number else "wasm", **fields)
    store.database.execute_sql("UPDATE workloads SET status = 'paused' WHERE id = '4'")

    assert query().count() == len(list(query())) == count


def test_a_column_of_ones_own_can_be_selected(five):
    query = Workload.select(Workload.id, (Workload.exit_code * 2).alias("twice")).where(Workload.id == "w2")

    assert query.get().twice == 4


def test_saving_a_new_workload_stores_it(store):
    workload = Workload(runtime="go")

    rows = workload.save()

    assert rows == 1
    assert get_workload(workload.id).to_dict() == workload.to_dict()


def test_saving_a_new_workload_with_an_id_stores_it(store):
    assert Workload(id="mine", runtime="go").save() == 1

    assert get_workload("mine").status is Status.PENDING


def test_saving_a_stored_workload_writes_only_what_was_changed(store):
    made = make_workload(node_id="n")
    mine = get_workload(made.id)
    update_workload(made.id, node_id="changed meanwhile", exit_code=1)

    mine.error = "e"
    rows = mine.save()

    stored = get_workload(made.id)
    assert (rows, stored.node_id, stored.exit_code, stored.error) == (1, "changed meanwhile", 1, "e")


@pytest.mark.parametrize("origin", [
    lambda: create_workload(runtime="go"), lambda: Workload.create(runtime="go"), lambda: get_workload("a"),
    lambda: list_workloads().items[0], lambda: Workload.get_by_id("a"), lambda: update_workload("a", exit_code=1),
], ids=["create_workload", "create", "get_workload", "list_workloads", "get_by_id", "update_workload"])
def test_saving_an_unchanged_workload_writes_nothing(store, origin):
    make_workload(id="a")
    workload = origin()

    assert workload.save() == 0
    assert workload.dirty_fields == []


def test_saving_a_deleted_workload_writes_nothing(store):
    workload = make_workload()
    workload.delete_instance()

    workload.node_id = "n"

    assert workload.save() == 0
    assert list_workloads().total == 0


def test_a_refused_save_fills_nothing_in(store):
    workload = Workload(runtime="ruby")

    with pytest.raises(InvalidWorkloadError):
        workload.save()

    assert (workload.id, workload.created_at) == (None, None)
    assert list_workloads().total == 0


def test_a_taken_id_is_refused_by_save_and_create(store):
    made = make_workload(id="taken")

    for write in (lambda: Workload(id="taken", runtime="go").save(), lambda: Workload.create(id="taken", runtime="go")):
        with pytest.raises(peewee.IntegrityError):
            write()

    assert get_workload("taken").__data__ == made.__data__


def test_create_fills_in_what_create_workload_does(store):
    created = Workload.create(runtime="go")

    stored = get_workload(created.id)
    assert (stored.status, stored.isolation, stored.node_id, len(stored.id)) == ("pending", "auto", "", 26)
    assert stored.to_dict() == created.to_dict()


@pytest.mark.parametrize("size", [None, 2])
def test_bulk_create_fills_in_what_create_workload_does(store, size):
    made = [Workload(runtime="go", id="own"), *(Workload(runtime="wasm") for _ in range(4))]

    Workload.bulk_create(made, size)

    assert sorted(workload.id for workload in list_workloads().items) == sorted(workload.id for workload in made)
    assert all(get_workload(workload.id).created_at == workload.created_at for workload in made)
    made[0].node_id = "n"
    assert made[0].save() == 1
    assert made[0].save() == 0 and get_workload("own").node_id == "n"


def test_insert_many_fills_in_an_id_for_each(store):
    Workload.insert_many([{"runtime": "go"}, {"runtime": "node"}]).execute()

    page = list_workloads()
    assert len({workload.id for workload in page.items}) == page.total == 2
