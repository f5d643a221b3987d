"""Values that pretend to be something, or fail when they are touched or shown."""

from __future__ import annotations

import enum
import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from unittest.mock import Mock

import pytest

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    WorkloadNotFoundError,
    create_workload,
    get_workload,
    list_workloads,
    purge_workloads,
)
from vulcan_store.testing import make_workload

BERLIN = timezone(timedelta(hours=2))


class OwnForm(datetime):
    """A datetime that writes and moves itself in a way of its own, as pandas' and pendulum's do."""

    def isoformat(self, *args):
        return "its own form"

    def astimezone(self, zone=None):
        return self


class NotATime(datetime):
    """What pandas' NaT is: a datetime whose utcoffset raises."""

    def utcoffset(self):
        raise ValueError("not a time")


class FailingZone(tzinfo):
    def utcoffset(self, moment):
        raise RuntimeError("no such zone")


class Hostile:
    """Fails whenever it is touched."""

    def _fail(self, *args):
        raise RuntimeError("touched")

    __repr__ = __reduce__ = __hash__ = __eq__ = __len__ = __iter__ = __int__ = _fail


class Number(int):
    """An int that says that it is another."""

    def __int__(self):
        return 2**70

    __index__ = __int__

    def __ge__(self, other):
        return True

    def __lt__(self, other):
        return True


NO_TIMES = [NotATime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=FailingZone())]


def test_a_time_is_stored_as_the_instant_that_it_is_whatever_its_class_writes(store):
    noon = OwnForm(2026, 1, 1, 14, tzinfo=BERLIN)

    made = create_workload(runtime="go", created_at=noon)

    assert made.created_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (type(made.created_at), made.created_at.tzinfo) == (datetime, UTC)
    assert get_workload(made.id).created_at == made.created_at
    assert Workload.select().where(Workload.created_at == noon).count() == 1
    assert [workload.id for workload in list_workloads(created_since=noon).items] == [made.id]


@pytest.mark.parametrize("moment", NO_TIMES, ids=["not a time", "a failing zone"])
@pytest.mark.parametrize("use", [
    lambda moment: create_workload(runtime="go", created_at=moment),
    lambda moment: Workload.insert(runtime="go", created_at=moment).execute(),
    lambda moment: list_workloads(created_since=moment),
    lambda moment: purge_workloads(moment),
    lambda moment: list(Workload.select().where(Workload.created_at == moment)),
], ids=["create_workload", "insert", "list_workloads", "purge_workloads", "a query"])
def test_what_only_pretends_to_be_a_time_is_refused(store, use, moment):
    make_workload(id="there", status="completed")

    with pytest.raises(InvalidWorkloadError) as refusal:
        use(moment)

    assert refusal.value.value is moment
    assert [workload.id for workload in Workload.select()] == ["there"]


@pytest.mark.parametrize("name", [
    "id", "status", "runtime", "node_id", "error", "output", "exit_code", "created_at", "finished_at",
])
def test_a_value_that_fails_when_it_is_touched_is_refused_by_its_field(store, name):
    value = Hostile()

    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(**{"runtime": "go", name: value})

    error = refusal.value
    assert (error.field, error.value is value) == (name, True)
    assert "Hostile" in str(error)
    assert "Hostile" in repr(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert list_workloads().total == 0


def test_an_int_is_stored_as_what_it_is_and_not_as_what_it_says(store):
    made = create_workload(runtime="go", exit_code=Number(7), mem_limit=enum.IntEnum("Size", {"SMALL": 512}).SMALL)

    assert (get_workload(made.id).exit_code, get_workload(made.id).mem_limit) == (7, 512)
    with pytest.raises(InvalidWorkloadError):
        create_workload(runtime="go", mem_limit=Number(-1))


@pytest.mark.parametrize("value", [
    b"x" * 10_000_000, bytearray(10_000_000), "x" * 10_000_000, 10**10_000, [[["x" * 10_000] * 100] * 100] * 100,
    {number: "x" * 1000 for number in range(10_000)},
], ids=["bytes", "bytearray", "str", "int", "list", "dict"])
def test_an_error_about_a_large_value_is_short(store, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(runtime=value)

    assert refusal.value.value is value
    assert 20 < len(str(refusal.value)) < 400
    assert 20 < len(repr(refusal.value)) < 450


def test_an_error_about_a_large_id_is_short(store):
    with pytest.raises(WorkloadNotFoundError) as missing:
        get_workload("x" * 1_000_000)

    assert len(str(missing.value)) < 300
    assert len(repr(missing.value)) < 400
    assert missing.value.workload_id == "x" * 1_000_000


@pytest.mark.parametrize("name, kind", [("node_id", str), ("id", str), ("exit_code", int), ("mem_limit", int)])
def test_what_only_says_that_it_is_text_or_a_number_is_refused(store, name, kind):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(**{"runtime": "go", name: Mock(spec=kind)})

    assert refusal.value.field == name
    assert list_workloads().total == 0
