"""What a field cannot take is refused on every way in, before anything is written."""

import enum
import pickle
from datetime import UTC, datetime

import pytest
from cases import case, each, empty
from hypothesis import given
from values import BERLIN, NAIVE, FailingZone, NotATime, wrong_log_values, wrong_values

from vulcan_store import (
    InvalidWorkloadError,
    LogLine,
    StoreError,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    purge_workloads,
    release_workloads,
    update_workload,
)
from vulcan_store.testing import make_workload

NEW_ROW = {
    "create_workload": lambda row: create_workload(**row),
    "create_workload(Workload)": lambda row: create_workload(Workload(**row)),
    "create": lambda row: Workload.create(**row),
    "save": lambda row: Workload(**row).save(),
    "insert": lambda row: Workload.insert(row).execute(),
    "insert_many": lambda row: Workload.insert_many([{"runtime": "go"}, row]).execute(),
    "insert_many of tuples": lambda row: Workload.insert_many([tuple(row.values())], fields=list(row)).execute(),
    "bulk_create": lambda row: Workload.bulk_create([Workload(**row)]),
}
CHANGED_ROW = {
    "update_workload": lambda key, name, value: update_workload(key, **{name: value}),
    "update": lambda key, name, value: Workload.update({name: value}).where(Workload.id == key).execute(),
    "save": lambda key, name, value: save_changed(key, name, value),
}


def save_changed(key, name, value):
    workload = get_workload(key)
    setattr(workload, name, value)
    workload.save()


def stored(store):
    return store.database.execute_sql("SELECT * FROM workloads ORDER BY id").fetchall()


def assert_refused(store, write, name, value):
    before = stored(store)

    with pytest.raises(InvalidWorkloadError) as refusal:
        write()

    error = refusal.value
    assert (error.field, error.value is value) == (name, True)
    assert f"{name} is " in str(error) and "must be" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert stored(store) == before


@given(wrong=wrong_values)
def test_a_new_row_is_refused_on_every_way_in(store, wrong):
    name, value = wrong
    for way, write in NEW_ROW.items():
        with case(way):
            assert_refused(store, lambda: write({"runtime": "go", name: value}), name, value)


@given(wrong=wrong_values)
def test_a_change_is_refused_on_every_way_in(store, wrong):
    empty(store)
    made, (name, value) = make_workload(output=b"x", exit_code=1, error="e"), wrong
    for way, write in CHANGED_ROW.items():
        with case(way):
            assert_refused(store, lambda: write(made.id, name, value), name, value)


@given(wrong=wrong_log_values)
def test_a_log_line_is_as_strict(store, wrong):
    empty(store)
    row = {"workload": make_workload().id, "seq": 0, "line": "x", wrong[0]: wrong[1]}

    for write in (
        lambda: LogLine.create(**row), lambda: LogLine.insert(**row).execute(), lambda: LogLine(**row).save(),
        lambda: LogLine.insert_many([row]).execute(),
    ):
        with pytest.raises(InvalidWorkloadError) as refusal:
            write()

        assert refusal.value.field.removesuffix("_id") == wrong[0]
        assert LogLine.select().count() == 0


@each("write", [
    *NEW_ROW.values(),
    *(lambda row, way=way: CHANGED_ROW[way]("x", *row.popitem()) for way in ("update_workload", "update")),
])
@each("name", ["colour", "Status"])
def test_a_field_that_does_not_exist_is_refused_on_every_way_in(store, write, name):
    assert_refused(store, lambda: write({"runtime": "go", name: None}), name, None)


@each("write", NEW_ROW)
def test_a_missing_runtime_is_refused_on_every_way_in(store, write):
    with pytest.raises(InvalidWorkloadError, match="runtime is .*python") as refusal:
        write({"node_id": "n"})

    assert refusal.value.field == "runtime"
    assert stored(store) == []


@each("missing", ["workload", "seq", "line"])
def test_a_log_line_needs_all_its_fields(store, missing):
    row = {"workload": make_workload().id, "seq": 0, "line": "x"}
    del row[missing]

    with pytest.raises(InvalidWorkloadError, match=f"{missing}.* is missing"):
        LogLine.create(**row)


def test_a_row_of_many_is_refused_by_its_place_and_one_may_have_more_names_than_the_first(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.insert_many([{"runtime": "go"}, {"runtime": "go", "exit_code": "1"}]).execute()
    with pytest.raises(ValueError):
        Workload.insert_many([("go", "too many")], [Workload.runtime]).execute()
    Workload.insert_many([{"runtime": "go"}, {"id": "b", "runtime": "go", "exit_code": 1}]).execute()

    assert refusal.value.position == 1
    assert {workload.exit_code for workload in list_workloads().items} == {None, 1}


# Values that pretend to be something


class OwnForm(datetime):
    """A datetime that writes and moves itself in a way of its own, as pandas' and pendulum's do."""

    def isoformat(self, *args):
        return "its own form"

    def astimezone(self, zone=None):
        return self


class Number(int):
    """An int that says that it is another."""

    def __int__(self):
        return 2**70

    __index__ = __int__

    def __ge__(self, other):
        return True

    __lt__ = __ge__


def test_a_time_is_stored_as_the_instant_that_it_is_whatever_its_class_writes(store):
    noon = OwnForm(2026, 1, 1, 14, tzinfo=BERLIN)

    made = create_workload(runtime="go", created_at=noon)

    assert made.created_at == get_workload(made.id).created_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (type(made.created_at), made.created_at.tzinfo) == (datetime, UTC)
    assert Workload.select().where(Workload.created_at == noon).count() == 1
    assert [workload.id for workload in list_workloads(created_since=noon).items] == [made.id]


def test_an_int_is_stored_as_what_it_is_and_not_as_what_it_says(store):
    made = create_workload(runtime="go", exit_code=Number(7), mem_limit=enum.IntEnum("Size", {"SMALL": 512}).SMALL)

    assert (get_workload(made.id).exit_code, get_workload(made.id).mem_limit) == (7, 512)
    with pytest.raises(InvalidWorkloadError):
        create_workload(runtime="go", mem_limit=Number(-1))


@each("use", [
    lambda moment: list_workloads(created_since=moment),
    lambda moment: purge_workloads(moment),
    lambda moment: release_workloads(started_before=moment),
    lambda moment: list(Workload.select().where(Workload.created_at == moment)),
])
@each("moment", [
    NotATime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=FailingZone()), NAIVE, "2026",
])
def test_what_only_pretends_to_be_a_time_is_refused(store, use, moment):
    make_workload(id="there", status="completed")

    with pytest.raises(InvalidWorkloadError) as refusal:
        use(moment)

    assert refusal.value.value is moment
    assert [workload.id for workload in Workload.select()] == ["there"]


@each("value", [
    b"x" * 10_000_000, "x" * 10_000_000, 10**10_000, [[["x" * 10_000] * 100] * 100] * 100,
])
def test_an_error_about_a_large_value_is_short(store, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(runtime=value)
    with pytest.raises(StoreError) as missing:
        get_workload(value)

    assert refusal.value.value is value
    for error in (refusal.value, missing.value):
        assert 20 < len(str(error)) < 400 and 20 < len(repr(error)) < 450
