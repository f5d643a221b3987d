"""Updating a workload: the lifecycle, the times that belong to it, and what stays as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vulcan_store import (
    InvalidWorkloadError,
    WorkloadNotFoundError,
    get_workload,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload

EARLY = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)
LATER = EARLY + timedelta(hours=1)


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


def test_running_said_with_another_field_keeps_when_it_started(store):
    made = make_workload(status="running", created_at=EARLY)

    updated = update_workload(made.id, status="running", node_id="n2")

    assert (updated.started_at, updated.node_id) == (EARLY, "n2")


@pytest.mark.parametrize("name", ["output", "exit_code", "error", "duration_ms", "started_at", "finished_at"])
def test_none_takes_an_optional_value_away(store, name):
    made = make_workload(
        status="running", output=b"o", exit_code=1, error="e", duration_ms=1, created_at=EARLY, finished_at=LATER
    )

    update_workload(made.id, **{name: None})

    assert get_workload(made.id).__data__ == {**made.__data__, name: "" if name == "error" else None}


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
