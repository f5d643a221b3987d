"""The command line: taking workloads, waiting for them, and putting them back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cases import each
from commandline import Started, rows, vulcan

from vulcan_store import get_workload, update_workload
from vulcan_store.testing import make_workload


def test_claim_prints_the_id_of_the_oldest_that_matches_and_has_a_status_for_none(file_store):
    for workload_id, fields in (("a", {}), ("b", {"isolation": "gvisor"}), ("c", {"isolation": "gvisor"})):
        make_workload(id=workload_id, runtime="wasm", **fields)

    claimed = [vulcan("claim node-1 --runtime node,wasm --isolation gvisor") for _ in range(3)]

    assert claimed == [(0, "b\n", ""), (0, "c\n", ""), (3, "", "")]
    assert (get_workload("b").status, get_workload("b").node_id) == ("running", "node-1")


def test_claim_may_wait_for_a_workload_to_appear(file_store):
    with Started("claim node-1 --wait 1h") as claiming:
        made = make_workload()
        shown = claiming.communicate()

    assert (shown, claiming.returncode) == ((f"{made.id}\n", ""), 0)
    assert get_workload(made.id).node_id == "node-1"


@each("statuses, expected", [
    (["completed"], 0), (["completed", "completed"], 0), (["failed"], 1), (["completed", "killed"], 1),
    (["running"], 4), (["failed", "pending"], 4),
])
def test_wait_tells_by_its_status_what_became_of_them(file_store, statuses, expected):
    for workload_id, status in zip("ab", statuses, strict=False):
        make_workload(id=workload_id, status=status)

    ended = vulcan("wait --timeout 0s --json", *"ab"[:len(statuses)])

    assert ended.returncode == expected
    assert [json.loads(line)["status"] for line in ended.stdout.splitlines()] == [
        status for status in statuses if status not in ("running", "pending")
    ]
    assert ended.stderr == "".join(
        f"vulcan-store: workload {one} is still {status}\n"
        for one, status in zip("ab", statuses, strict=False) if status in ("running", "pending")
    )


def test_wait_shows_a_workload_once_it_is_final(file_store):
    make_workload(id="w", status="running")

    with Started("wait w") as waiting:
        update_workload("w", status="completed", output=b"42")
        shown, complaints = waiting.communicate()

    assert (waiting.returncode, complaints) == (0, "")
    assert "status       completed\n" in shown


@pytest.mark.parametrize("options, expected", [
    ("--node-id n1", {"a", "b"}), ("--started-before 1h", {"a"}), ("--node-id n3", set()),
])
def test_release_puts_back_what_a_node_ran_or_what_runs_too_long(file_store, path, options, expected):
    long_ago = datetime.now(UTC) - timedelta(days=1)
    for workload_id, node, fields in (("a", "n1", {"started_at": long_ago}), ("b", "n1", {}), ("c", "n2", {})):
        make_workload(id=workload_id, node_id=node, status="running", **fields)

    assert vulcan(f"release {options}") == (0, f"{len(expected)} released\n", "")
    assert {row[0] for row in rows(path, "SELECT id FROM workloads WHERE status = 'pending'")} == expected
