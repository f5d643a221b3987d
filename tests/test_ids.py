"""Ids: ULIDs that rise strictly, whatever the clock and whichever thread."""

from __future__ import annotations

import threading
import time

import pytest

from vulcan_store.models.ids import new_id
from vulcan_store.testing import make_workload

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def milliseconds(ulid):
    number = 0
    for character in ulid[:10]:
        number = number * 32 + CROCKFORD.index(character)
    return number


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still where it is put, above every id made so far."""

    class Clock:
        milliseconds = milliseconds(new_id()) + 1000

    monkeypatch.setattr(time, "time_ns", lambda: Clock.milliseconds * 1_000_000 + 999_999)
    return Clock


def test_an_id_is_26_characters_of_crockford_base32():
    ids = [new_id() for _ in range(1000)]

    assert {len(ulid) for ulid in ids} == {26}
    assert set("".join(ids)) <= set(CROCKFORD)


def test_an_id_begins_with_its_millisecond(clock):
    assert milliseconds(new_id()) == clock.milliseconds


def test_ids_rise_within_a_millisecond(clock):
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {milliseconds(ulid) for ulid in ids} == {clock.milliseconds}


def test_ids_rise_from_one_millisecond_to_the_next(clock):
    ids = []
    for _ in range(1000):
        ids.append(new_id())
        clock.milliseconds += 1

    assert ids == sorted(set(ids))


@pytest.mark.parametrize("back", [1, 1000, 10**9])
def test_ids_rise_when_the_clock_is_set_back(clock, back):
    before = [new_id() for _ in range(100)]
    clock.milliseconds -= back
    after = [new_id() for _ in range(100)]

    assert before + after == sorted({*before, *after})


def test_ids_follow_the_clock_again_once_it_has_caught_up(clock):
    new_id()
    clock.milliseconds -= 10
    new_id()
    clock.milliseconds += 20

    assert milliseconds(new_id()) == clock.milliseconds


def test_ids_rise_across_threads():
    together = threading.Barrier(8)
    made = [[] for _ in range(8)]

    def work(mine):
        together.wait()
        for _ in range(2000):
            mine.append(new_id())

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({ulid for mine in made for ulid in mine}) == 16_000
    assert all(mine == sorted(mine) for mine in made)
    assert new_id() > max(mine[-1] for mine in made)


def test_an_id_made_in_the_middle_of_another_takes_no_place_twice(clock, monkeypatch):
    made = []

    def interrupted():
        if not made:
            made.append(None)
            made[:] = [new_id()]
        return clock.milliseconds * 1_000_000

    monkeypatch.setattr(time, "time_ns", interrupted)

    outer = new_id()

    assert outer > made[0]
    assert new_id() > outer


def test_workloads_get_such_ids(store, clock):
    first, second = make_workload(), make_workload()

    assert first.id < second.id
    assert milliseconds(first.id) == clock.milliseconds
