"""Ids: ULIDs that rise strictly, whatever the clock and whichever thread."""

import time

import pytest
from cases import each
from guarantees.processes import in_threads

from vulcan_store import Workload, create_workload, open_store

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ids(count):
    workloads = [Workload(runtime="go") for _ in range(count)]
    Workload.bulk_create(workloads)
    return [workload.id for workload in workloads]


def milliseconds(ulid):
    number = 0
    for character in ulid[:10]:
        number = number * 32 + CROCKFORD.index(character)
    return number


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still where it is put, above every id made so far."""
    with open_store(":memory:"):

        class Clock:
            milliseconds = milliseconds(create_workload(runtime="go").id) + 1000

        monkeypatch.setattr(time, "time_ns", lambda: Clock.milliseconds * 1_000_000 + 999_000)
        yield Clock


def test_ids_are_ulids_that_rise_within_a_millisecond(clock):
    ids = [*new_ids(300), create_workload(runtime="go").id]

    assert ids == sorted(set(ids))
    assert {len(ulid) for ulid in ids} == {26} and set("".join(ids)) <= set(CROCKFORD)
    assert {milliseconds(ulid) for ulid in ids} == {clock.milliseconds}


@each("step", [1, -1, -1000, -(10**9)])
def test_ids_rise_when_the_clock_goes_on_or_is_set_back_and_follow_it_again(clock, step):
    before = new_ids(50)
    clock.milliseconds += step
    after = new_ids(50)
    clock.milliseconds += abs(step) + 20

    assert before + after == sorted({*before, *after})
    assert milliseconds(new_ids(1)[0]) == clock.milliseconds


def test_ids_rise_across_threads(clock):
    made = in_threads(8, lambda barrier, place: new_ids(50))

    assert len({ulid for mine in made for ulid in mine}) == 400
    assert all(mine == sorted(mine) for mine in made)
    assert new_ids(1)[0] > max(mine[-1] for mine in made)
