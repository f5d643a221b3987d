"""Updating a workload: the lifecycle, the times that belong to it, and what stays as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vulcan_store import (
    InvalidTransitionError,
    InvalidWorkloadError,
    Status,
    WorkloadNotFoundError,
    get_workload,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload

EARLY = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)
LATER = EARLY + timedelta(hours=1)

FINAL = ["completed", "failed", "killed"]
OPEN = ["pending", "running"]
ALLOWED = [(before, after) for before in OPEN for after in [*OPEN, *FINAL]]
REPEATED = [(status, status) for status in FINAL]
REFUSED = [(before, after) for before in FINAL for after in [*OPEN, *FINAL] if before != after]


@pytest.mark.parametrize("shared_store", ["memory", "file"], indirect=True)
@pytest.mark.parametrize("status", ["running", "pending", "killed"])
def test_a_status_said_again_writes_nothing(store, status):
    made = make_workload()
    update_workload_status(made.id, "running")
    moved = update_workload_status(made.id, status)

    with store.database.atomic():
        before = store.database.connection().total_changes

        assert update_workload_status(made.id, status) == moved
        assert store.database.connection().total_changes == before


def say(workload_id, status):
    return update_workload(workload_id, status=status)


by_either_function = pytest.mark.parametrize("move", [update_workload_status, say], ids=["status", "fields"])


def test_the_lists_above_cover_every_pair_of_statuses():
    assert {*ALLOWED, *REPEATED, *REFUSED} == {(before, after) for before in Status for after in Status}


@by_either_function
@pytest.mark.parametrize("before, after", ALLOWED)
def test_an_allowed_change_is_stored_and_returned(store, before, after, move):
    made = make_workload(status=before)

    returned = move(made.id, after)

    stored = get_workload(made.id)
    assert stored.status is returned.status is Status(after)
    assert stored.__data__ == returned.__data__


@by_either_function
@pytest.mark.parametrize("before, after", REFUSED)
def test_a_final_status_is_never_left(store, before, after, move):
    made = make_workload(status=before, created_at=EARLY)

    with pytest.raises(InvalidTransitionError) as refusal:
        move(made.id, after)

    error = refusal.value
    assert (error.workload_id, error.current, error.requested) == (made.id, before, after)
    assert get_workload(made.id).__data__ == made.__data__


@by_either_function
@pytest.mark.parametrize("status", FINAL)
def test_a_final_status_said_twice_changes_nothing(store, status, move):
    made = make_workload(status=status, created_at=EARLY)

    returned = move(made.id, status)

    assert returned.__data__ == get_workload(made.id).__data__ == made.__data__


@pytest.mark.parametrize("status", FINAL)
def test_a_repeated_result_changes_nothing_of_the_first(store, status):
    made = make_workload()
    first = update_workload(made.id, status=status, output=b"first", exit_code=0)

    again = update_workload(made.id, status=status, output=b"first", exit_code=0)

    assert again.__data__ == get_workload(made.id).__data__ == first.__data__


@pytest.mark.parametrize("before", OPEN)
@pytest.mark.parametrize("after", FINAL)
def test_a_final_status_sets_when_it_finished(store, before, after):
    made = make_workload(status=before, created_at=EARLY)
    start = datetime.now(UTC)

    updated = update_workload_status(made.id, after)

    assert start <= updated.finished_at <= datetime.now(UTC)
    assert updated.started_at == made.started_at


def test_running_sets_when_it_started(store):
    made = make_workload(created_at=EARLY)
    start = datetime.now(UTC)

    updated = update_workload_status(made.id, "running")

    assert start <= updated.started_at <= datetime.now(UTC)
    assert updated.finished_at is None


def test_running_said_twice_changes_nothing(store):
    made = make_workload(status="running", created_at=EARLY)

    returned = update_workload_status(made.id, "running")

    assert returned.__data__ == get_workload(made.id).__data__ == made.__data__


def test_running_said_with_another_field_keeps_when_it_started(store):
    made = make_workload(status="running", created_at=EARLY)

    updated = update_workload(made.id, status="running", node_id="n2")

    assert (updated.started_at, updated.node_id) == (EARLY, "n2")


def test_going_back_to_pending_clears_when_and_where_it_ran(store):
    made = make_workload(status="running", created_at=EARLY, node_id="n1")

    updated = update_workload_status(made.id, "pending")

    assert updated.__data__ == {**made.__data__, "status": "pending", "node_id": "", "started_at": None}


def test_running_again_sets_a_new_start(store):
    made = make_workload(status="running", created_at=EARLY)
    update_workload_status(made.id, "pending")

    updated = update_workload_status(made.id, "running")

    assert updated.started_at > EARLY


@pytest.mark.parametrize("before, fields", [
    ("pending", {"status": "running", "started_at": LATER}),
    ("running", {"status": "running", "started_at": LATER}),
    ("running", {"status": "running", "started_at": None}),
    ("running", {"status": "pending", "started_at": LATER}),
    ("running", {"status": "completed", "finished_at": LATER}),
    ("pending", {"status": "failed", "finished_at": None}),
    ("pending", {"status": "killed", "started_at": EARLY, "finished_at": LATER}),
], ids=str)
def test_times_that_are_given_win_over_the_automatic_ones(store, before, fields):
    made = make_workload(status=before, created_at=EARLY)

    updated = update_workload(made.id, **fields)

    assert updated.__data__ == {**made.__data__, **fields}


def test_result_and_final_status_land_together(store):
    made = make_workload(status="running", created_at=EARLY)
    result = {"output": b"42", "exit_code": -1, "error": "e", "duration_ms": 7, "node_id": "n"}

    updated = update_workload(made.id, status="failed", **result)

    assert updated.__data__ == {
        **made.__data__, **result, "status": "failed", "finished_at": updated.finished_at
    }


@pytest.mark.parametrize("status", OPEN)
def test_fields_without_a_status_change_until_it_is_final(store, status):
    made = make_workload(status=status, created_at=EARLY)

    updated = update_workload(made.id, output=b"late", finished_at=LATER)

    assert updated.__data__ == {**made.__data__, "output": b"late", "finished_at": LATER}


@pytest.mark.parametrize("name, value", [
    ("node_id", "n"), ("output", b"x"), ("exit_code", 3), ("error", "e"), ("duration_ms", 5),
    ("started_at", LATER), ("finished_at", LATER),
])
def test_only_the_named_field_changes(store, name, value):
    other = make_workload()
    made = make_workload(output=b"o", exit_code=1, error="old", input_hash="h", cpu_limit=1, created_at=EARLY)

    update_workload(made.id, **{name: value})

    assert get_workload(made.id).__data__ == {**made.__data__, name: value}
    assert get_workload(other.id).__data__ == other.__data__


@pytest.mark.parametrize("name", ["output", "exit_code", "error", "duration_ms", "started_at", "finished_at"])
def test_none_takes_an_optional_value_away(store, name):
    made = make_workload(
        status="running", output=b"o", exit_code=1, error="e", duration_ms=1, created_at=EARLY, finished_at=LATER
    )

    update_workload(made.id, **{name: None})

    assert get_workload(made.id).__data__ == {**made.__data__, name: "" if name == "error" else None}


def test_nothing_named_changes_nothing(store):
    made = make_workload(status="running")

    assert update_workload(made.id).__data__ == get_workload(made.id).__data__ == made.__data__


@pytest.mark.parametrize("name, value", [
    ("id", "other"), ("isolation", "gvisor"), ("runtime", "go"), ("input_hash", "h"), ("cpu_limit", 1),
    ("mem_limit", 1), ("timeout_s", 1), ("created_at", LATER), ("colour", "red"),
])
def test_what_is_fixed_once_created_is_refused(store, name, value):
    made = make_workload(created_at=EARLY)

    with pytest.raises(InvalidWorkloadError) as refusal:
        update_workload(made.id, status="running", **{name: value})

    assert (refusal.value.field, refusal.value.value) == (name, value)
    assert get_workload(made.id).__data__ == made.__data__


@pytest.mark.parametrize("fields", [
    {"status": "running"}, {"exit_code": 1}, {"status": "killed", "output": b""}, {},
], ids=str)
@pytest.mark.parametrize("workload_id", ["nobody", "", "a\0", "\ud800"])
def test_an_unknown_id_is_not_found(store, workload_id, fields):
    made = make_workload()

    with pytest.raises(WorkloadNotFoundError) as refusal:
        update_workload(workload_id, **fields)

    assert refusal.value.workload_id == workload_id
    assert get_workload(made.id).__data__ == made.__data__


@by_either_function
@pytest.mark.parametrize("status", ["paused", "", None, "RUNNING", 1, ["running"]])
def test_a_status_that_is_none_is_refused(store, status, move):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        move(made.id, status)

    assert (refusal.value.field, refusal.value.value) == ("status", status)
    assert get_workload(made.id).__data__ == made.__data__
