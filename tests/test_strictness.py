"""What a field cannot take is refused on every way in, before anything is written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from vulcan_store import InvalidWorkloadError, Workload, create_workload, get_workload, update_workload
from vulcan_store.testing import make_workload

NAIVE = datetime(2026, 2, 18, 12, 0, 0)
GOOD = {
    "id": "good", "status": "pending", "isolation": "auto", "runtime": "go", "node_id": "",
    "created_at": NAIVE.replace(tzinfo=UTC),
}

NEW_ROW = {
    "create_workload": lambda row: create_workload(**row),
    "create_workload(Workload)": lambda row: create_workload(Workload(**row)),
    "create": lambda row: Workload.create(**row),
    "save": lambda row: Workload(**row).save(),
    "save(force_insert)": lambda row: Workload(**row).save(force_insert=True),
    "insert by name": lambda row: Workload.insert(**row).execute(),
    "insert a mapping": lambda row: Workload.insert(row).execute(),
    "insert_many": lambda row: Workload.insert_many([row]).execute(),
    "insert_many, second row": lambda row: Workload.insert_many([good(row), row]).execute(),
    "insert_many of tuples": lambda row: Workload.insert_many([tuple(row.values())], fields=list(row)).execute(),
    "bulk_create": lambda row: Workload.bulk_create([Workload(**row)]),
    "replace": lambda row: Workload.replace(**row).execute(),
}
CHANGED_ROW = {
    "update_workload": lambda key, name, value: update_workload(key, **{name: value}),
    "update by name": lambda key, name, value: Workload.update(**{name: value}).where(Workload.id == key).execute(),
    "update a mapping": lambda key, name, value: Workload.update({name: value}).where(Workload.id == key).execute(),
    "save": lambda key, name, value: save_changed(key, name, value),
    "set_by_id": lambda key, name, value: Workload.set_by_id(key, {name: value}),
}
NO_WORD = [
    *(("status", value) for value in ("paused", "", "Running", 1, b"running", ["running"])),
    *(("isolation", value) for value in ("docker", 0)), *(("runtime", value) for value in ("ruby", "", b"go")),
]
NONE = [(name, None) for name in ("id", "status", "isolation", "runtime", "node_id", "created_at")]
NO_TEXT = [
    *(("node_id", value) for value in (5, b"x", True, "a\ud800b")),
    ("input_hash", 5), ("input_hash", "\udfff"), ("error", b"x"), ("error", "\ud800"),
    *(("id", value) for value in ("", "\0", "a\0b", "\udfff", 5, b"x", True)),
]
NO_INTEGER = [
    *(("exit_code", value) for value in (True, False, 1.0, 1.5, "1", "abc", b"1", 2**63, -(2**63) - 1)),
    *((name, value) for name in ("cpu_limit", "mem_limit", "timeout_s", "duration_ms")
      for value in (True, 2.0, "2", -1, 2**63)),
]
NO_BYTES = [("output", value) for value in ("text", 5, ["x"])]
NO_TIME = [
    *(("created_at", value) for value in (NAIVE, "2026-02-18T12:00:00Z", 1771416000, date(2026, 2, 18))),
    ("created_at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    ("started_at", NAIVE), ("started_at", "2026-02-18"), ("finished_at", NAIVE), ("finished_at", 0.0),
]
REFUSED = [*NO_WORD, *NONE, *NO_TEXT, *NO_INTEGER, *NO_BYTES, *NO_TIME]
ONE_A_FIELD = list({name: (name, value) for name, value in [*reversed(REFUSED), *NONE]}.values())
UNKNOWN = [("colour", "red"), ("Status", "running"), ("nodeid", None)]


def good(row):
    return {name: GOOD.get(name) for name in row if name in Workload._meta.fields}


def save_changed(key, name, value):
    workload = get_workload(key)
    setattr(workload, name, value)
    workload.save()


def stored(store):
    return store.database.execute_sql("SELECT * FROM workloads ORDER BY id").fetchall()


def check(refusal, name, value):
    error = refusal.value
    assert error.field == name
    assert error.value == value and type(error.value) is type(value)
    assert f"{name} is " in str(error)
    assert "must be" in str(error)


def ways_in(ways, thorough, refused):
    """Every value by the thorough ways, and by the others, which check in the same place, one for each field."""
    return pytest.mark.parametrize("write, name, value", [
        pytest.param(write, *case, id=f"{way}-{case[0]}-{case[1]!r}")
        for way, write in ways.items() for case in (refused if way in thorough else ONE_A_FIELD)
    ])


@ways_in(NEW_ROW, {"create_workload", "insert_many"}, REFUSED)
def test_a_new_row_is_refused_on_every_way_in(store, write, name, value):
    make_workload()
    before = stored(store)

    with pytest.raises(InvalidWorkloadError) as refusal:
        write({"runtime": "go", name: value})

    check(refusal, name, value)
    assert stored(store) == before


@ways_in(CHANGED_ROW, {"update_workload", "update by name"}, [*REFUSED, ("created_at", None)])
def test_a_change_is_refused_on_every_way_in(store, write, name, value):
    made = make_workload(output=b"x", exit_code=1, error="e")
    before = stored(store)

    with pytest.raises(InvalidWorkloadError) as refusal:
        write(made.id, name, value)

    check(refusal, name, value)
    assert stored(store) == before


@pytest.mark.parametrize("write", NEW_ROW.values(), ids=NEW_ROW)
@pytest.mark.parametrize("name, value", UNKNOWN)
def test_a_field_that_does_not_exist_is_refused_on_every_way_in(store, write, name, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        write({"runtime": "go", name: value})

    assert refusal.value.field == name
    assert stored(store) == []


@pytest.mark.parametrize("way", [way for way in CHANGED_ROW if way != "save"])
@pytest.mark.parametrize("name, value", UNKNOWN)
def test_a_change_of_a_field_that_does_not_exist_is_refused(store, way, name, value):
    made = make_workload()
    before = stored(store)

    with pytest.raises(InvalidWorkloadError) as refusal:
        CHANGED_ROW[way](made.id, name, value)

    assert refusal.value.field == name
    assert stored(store) == before


@pytest.mark.parametrize("way", [way for way in NEW_ROW if "second" not in way])
def test_a_missing_runtime_is_refused_on_every_way_in(store, way):
    with pytest.raises(InvalidWorkloadError) as refusal:
        NEW_ROW[way]({"node_id": "n"})

    assert refusal.value.field == "runtime"
    assert "python" in str(refusal.value)
    assert stored(store) == []


def test_a_runtime_missing_in_a_later_row_refuses_all(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.insert_many([{"runtime": "go"}, {"node_id": "n"}]).execute()

    assert refusal.value.field in ("runtime", "node_id")
    assert stored(store) == []


@pytest.mark.parametrize("name, value", [
    ("id", ""), ("status", "paused"), ("exit_code", True), ("created_at", NAIVE), ("output", "text"),
])
def test_a_refused_object_can_be_put_right_and_stored(store, name, value):
    workload = Workload(runtime="go", **{name: value})
    with pytest.raises(InvalidWorkloadError):
        create_workload(workload)

    setattr(workload, name, Workload(id="x", exit_code=1, created_at=NAIVE.replace(tzinfo=UTC)).__data__.get(name))
    create_workload(workload)

    assert get_workload(workload.id).__data__ == workload.__data__
