"""The pool by itself: who gets a connection when there are fewer than callers."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from guarantees.processes import PATIENCE
from vulcan_store import StoreUnavailableError
from vulcan_store.engines import pool as pools
from vulcan_store.engines import slots
from vulcan_store.engines.pool import Pool


class Connection:
    closed = False


def close(connection):
    connection.closed = True


def a_pool(size=1, timeout=PATIENCE):
    return Pool(
        "server", Connection, close, lambda connection: False, lambda connection: not connection.closed,
        max_idle=1, size=size, timeout=timeout,
    )  # fmt: skip


def give_back(pool, slot):
    with slot.lock:
        pool.give_back(slot)


class Taker(threading.Thread):
    """Takes a slot; returns once it waits for its turn."""

    def __init__(self, pool):
        super().__init__(daemon=True)
        self.pool, self.slot = pool, None
        before = len(pool.waiting)
        self.start()
        while len(pool.waiting) == before and self.is_alive():
            pass

    def run(self):
        with suppress(StoreUnavailableError):
            self.slot = self.pool.take()


def test_what_is_given_back_goes_to_who_waits_and_not_to_who_asks_next():
    pool = a_pool()
    slot = pool.take()
    waiting = Taker(pool)

    give_back(pool, slot)
    pool.timeout = 0
    with pytest.raises(StoreUnavailableError, match="none of its 1 connections was free"):
        pool.take()

    waiting.join(PATIENCE)
    assert waiting.slot is slot and not slot.connection.closed


def test_they_are_served_in_the_order_in_which_they_came():
    pool = a_pool()
    slot = pool.take()
    first = Taker(pool)
    second = Taker(pool)

    give_back(pool, slot)
    first.join(PATIENCE)

    assert (first.slot, second.slot) == (slot, None)
    give_back(pool, slot)
    second.join(PATIENCE)
    assert second.slot is slot


def test_a_connection_on_its_way_to_its_user_is_not_closed_by_who_looks_for_one():
    pool = a_pool(timeout=0)
    slot = pool.take()

    with pytest.raises(StoreUnavailableError):
        pool.take()

    assert not slot.connection.closed


def test_one_that_an_interruption_lost_is_closed_and_its_place_used_again(monkeypatch):
    monkeypatch.setattr(slots, "LOST_AFTER", 0)
    monkeypatch.setattr(pools, "LOST_AFTER", 0.001)
    pool = a_pool()
    lost = pool.take()

    slot = pool.take()

    assert lost.connection is None
    assert slot is not lost and pool.slots == [slot]


def test_what_was_handed_to_one_who_gave_up_goes_to_the_next():
    pool = a_pool()
    slot = pool.take()
    with pool.lock:
        gave_up = pools.Waiter()
        pool.waiting.append(gave_up)
    next_one = Taker(pool)

    give_back(pool, slot)
    pool._give_up(gave_up)

    next_one.join(PATIENCE)
    assert next_one.slot is slot


def test_one_who_was_forgotten_by_an_interrupted_hand_tries_again(monkeypatch):
    monkeypatch.setattr(pools, "LOST_AFTER", 0.001)
    pool = a_pool()
    slot = pool.take()
    forgotten = Taker(pool)

    with pool.lock:
        pool.waiting.pop(0)
        give_back(pool, slot)

    forgotten.join(PATIENCE)
    assert forgotten.slot is slot


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("end", ["give_back", "discard"])
def test_one_whom_an_interruption_kept_from_being_served_finds_what_there_is(monkeypatch, end):
    monkeypatch.setattr(pools, "LOST_AFTER", 0.001)
    pool = a_pool()
    slot = pool.take()
    waiting = Taker(pool)

    def interrupted():
        raise Interrupted

    with monkeypatch.context() as patch, slot.lock, pytest.raises(Interrupted):
        patch.setattr(pool, "serve", interrupted)
        getattr(pool, end)(slot)

    waiting.join(PATIENCE)
    assert waiting.slot is not None


def test_one_that_waited_no_more_when_it_was_its_turn_keeps_nobody_from_having_it(monkeypatch):
    monkeypatch.setattr(pools, "LOST_AFTER", 0.001)
    pool = a_pool()
    slot = pool.take()
    pool.waiting.append(pools.Waiter())  # an interruption came before it could wait
    waiting = Taker(pool)

    with slot.lock:
        pool.discard(slot)

    waiting.join(PATIENCE)
    assert waiting.slot is not None


def test_a_caller_that_may_not_wait_gets_what_is_idle():
    pool = a_pool(timeout=0)
    slot = pool.take()
    give_back(pool, slot)

    assert pool.take() is slot


def test_while_a_fork_is_prepared_nobody_is_given_a_connection():
    pool = a_pool(size=None)
    slot = pool.take()
    pool.pause()
    waiting = Taker(pool)

    give_back(pool, slot)
    pool.drain(PATIENCE)

    assert waiting.slot is None and pool.slots == []
    pool.resume()
    waiting.join(PATIENCE)
    assert waiting.slot is not None
