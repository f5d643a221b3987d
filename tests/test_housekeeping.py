"""Counting what is there, and deleting what is old while others write."""

import sqlite3
import time
from contextlib import closing
from datetime import timedelta, timezone

import pytest
from cases import each
from guarantees.processes import in_processes
from workloads import NOON, ids

from vulcan_store import (
    InvalidWorkloadError,
    LogLine,
    append_log_lines,
    create_workloads,
    list_log_lines,
    open_store,
    purge_workloads,
    workload_stats,
)
from vulcan_store.operations.housekeeping import count_purgeable
from vulcan_store.testing import make_workload

INSTANT = timedelta(microseconds=1)
LONG_AGO = NOON - timedelta(days=9)


def say(store, key, **words):
    """What a newer server may write, past what is checked on the way in."""
    for name, value in words.items():
        store.database.execute_sql(f"UPDATE workloads SET {name} = '{value}' WHERE id = '{key}'")


def finished(count):
    create_workloads(
        {"id": f"w{place:03}", "runtime": "go", "status": "failed", "created_at": NOON} for place in range(count)
    )


def create_one(barrier, place, target, key):
    with open_store(target):
        make_workload(id=key)


def test_the_statistics_are_of_one_moment(path, monkeypatch):
    insert = (
        "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) "
        "VALUES (hex(randomblob(8)), 'pending', 'of a newer server', 'go', '', '2026-01-01 00:00:00.000000+00:00')"
    )
    with open_store(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(insert)
        read = store.database.read

        def read_and_let_another_write(*statement):
            rows = read(*statement)
            other.execute(insert)
            return rows

        monkeypatch.setattr(store.database, "read", read_and_let_another_write)
        stats = workload_stats()

    assert (stats.total, stats.by_isolation) == (1, {"of a newer server": 1})


def test_words_that_no_enumeration_knows_are_counted_as_they_are(store):
    make_workload(id="a")
    make_workload(id="b", duration_ms=5)
    say(store, "a", status="paused", isolation="firecracker")
    say(store, "b", status="paused")

    stats = workload_stats()

    assert (stats.by_status, stats.by_isolation) == ({"paused": 2}, {"firecracker": 1, "auto": 1})
    assert stats.average_duration_ms is None


@each("durations, average", [
    ([2**63 - 1] * 3, 2.0**63), ([2**53 + 1, 0], 2.0**52),
])
def test_the_average_of_the_longest_durations_is_theirs(store, durations, average):
    for isolation, duration in zip(["auto", "gvisor", "auto"], durations, strict=False):
        make_workload(status="completed", isolation=isolation, duration_ms=duration)

    assert workload_stats().average_duration_ms == pytest.approx(average)


@each("hours", [-7, 2])
def test_a_purge_before_a_time_of_another_zone_goes_by_the_instant(store, hours):
    moment = NOON.astimezone(timezone(timedelta(hours=hours)))
    for name, created_at in (("old", NOON - INSTANT), ("new", NOON), ("paused", NOON - INSTANT)):
        make_workload(id=name, status="failed", created_at=created_at)
    say(store, "paused", status="paused")

    assert count_purgeable(store, moment) == purge_workloads(moment) == 1
    assert ids() == ["new", "paused"]


@each("hour, gone", [(10, 0), (11, 0), (12, 5), (15, 5)])
def test_as_many_are_counted_as_would_be_deleted(file_store, hour, gone):
    for number, text in enumerate([
        "2026-02-18 13:00:00 +0200 CEST", "2026-02-18 06:00:00 -0500 EST", "2026-02-18 11:00:00 +0000 UTC",
        "2026-02-18 11:00:00.000000+00:00", "2026-02-18T11:00:00Z",
    ]):
        make_workload(id=f"{number}", status="killed", created_at=LONG_AGO, finished_at=NOON)
        say(file_store, f"{number}", finished_at=text)

    assert count_purgeable(file_store, NOON.replace(hour=hour)) == gone
    assert purge_workloads(NOON.replace(hour=hour)) == gone


def test_a_purge_goes_on_past_what_finished_later_or_only_reads_as_old(path):
    with open_store(path) as store:
        create_workloads(
            {"id": f"w{number}", "runtime": "go", "status": "killed", "created_at": LONG_AGO, "finished_at": NOON}
            for number in range(250)
        )
        text = "'2026-02-18 05:00:00 -0700 MST'"
        store.database.execute_sql(f"UPDATE workloads SET finished_at = {text} WHERE id < 'w2'")
        make_workload(id="old", status="killed", created_at=LONG_AGO + INSTANT, finished_at=NOON - INSTANT)

        assert purge_workloads(NOON) == 1
        assert "old" not in ids()


def test_log_lines_go_with_their_workload_however_many(store):
    finished(3)
    make_workload(id="kept")
    for key, count in [("w000", 4500), ("w001", 2), ("kept", 3)]:
        append_log_lines(key, map(str, range(count)))

    assert purge_workloads(NOON + INSTANT) == 3

    assert ids() == ["kept"]
    assert LogLine.select().count() == len(list_log_lines("kept")) == 3


@pytest.mark.parametrize("shared_store", ["file", "postgres"], indirect=True)
def test_another_process_writes_while_a_purge_is_under_way(store, target, monkeypatch):
    finished(250)

    def create_elsewhere(seconds):
        monkeypatch.undo()  # what waits for the other process sleeps too
        in_processes(1, create_one, target, f"new {len(ids())}")

    monkeypatch.setattr(time, "sleep", create_elsewhere)  # the pause after a batch

    purge_workloads(NOON + INSTANT)

    assert ids() == ["new 150"]


def test_what_finishes_anew_while_a_purge_is_under_way_stays_with_its_log(store, monkeypatch):
    finished(250)
    for key in ids():
        append_log_lines(key, ["line"])
    kept = []

    def write_late(seconds):
        # As the server does, when it ends what was ended without it.
        monkeypatch.undo()
        kept.append(ids()[0])
        late = "2999-01-01 00:00:00.000000+00:00"
        store.database.execute_sql(f"UPDATE workloads SET finished_at = '{late}' WHERE id = '{kept[0]}'")

    monkeypatch.setattr(time, "sleep", write_late)  # the pause after a batch

    assert purge_workloads(NOON + INSTANT) == 249

    assert ids() == kept and [line.line for line in list_log_lines(kept[0])] == ["line"]


def test_a_purge_that_is_interrupted_keeps_whole_workloads(store, monkeypatch):
    finished(250)
    for key in ids()[::10]:
        append_log_lines(key, ["a", "b"])

    monkeypatch.setattr(time, "sleep", lambda seconds: 1 / 0)  # the pause after a batch

    with pytest.raises(ZeroDivisionError):
        purge_workloads(NOON + INSTANT)

    left = set(ids())
    assert 0 < len(left) < 250
    assert {line.workload_id for line in LogLine.select()} == {key for key in left if key.endswith("0")}


@each("moment", [None, 0, NOON.date()])
def test_a_purge_before_what_is_no_time_is_refused(store, moment):
    made = make_workload(status="failed", created_at=NOON)

    with pytest.raises(InvalidWorkloadError) as refusal:
        purge_workloads(moment)

    assert (refusal.value.field, refusal.value.value) == ("finished_before", moment)
    assert ids() == [made.id]
