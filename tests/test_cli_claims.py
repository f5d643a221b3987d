"""The command line: taking workloads, waiting for them, and putting them back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from commandline import Started, rows, vulcan

from vulcan_store import get_workload, open_store, update_workload
from vulcan_store.cli.main import main
from vulcan_store.testing import make_workload


@pytest.fixture
def store(path):
    """A file store, open here while the commands work on it as well."""
    with open_store(path) as store:
        yield store


def test_claim_prints_the_id_of_the_oldest_that_matches(store, path):
    make_workload(runtime="go")
    oldest = make_workload(runtime="wasm", isolation="gvisor")
    make_workload(runtime="wasm", isolation="gvisor")

    ended = vulcan("--db", path, "claim", "node-1", "--runtime", "node,wasm", "--isolation", "gvisor")

    stored = get_workload(oldest.id)
    assert (ended.stdout, ended.returncode) == (f"{oldest.id}\n", 0)
    assert (stored.status, stored.node_id) == ("running", "node-1")


def test_claim_of_nothing_is_silent_and_has_a_status_of_its_own(store, path):
    ended = vulcan("--db", path, "claim", "node-1")

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")


def test_claim_may_wait_for_a_workload_to_appear(store, path):
    with Started("--db", path, "claim", "node-1", "--wait", "1h") as claiming:
        made = make_workload()
        shown, complaints = claiming.communicate()

    assert (shown, complaints, claiming.returncode) == (f"{made.id}\n", "", 0)
    assert get_workload(made.id).node_id == "node-1"


@pytest.mark.parametrize("statuses, expected", [
    (["completed"], 0), (["completed", "completed"], 0), (["failed"], 1), (["completed", "killed"], 1),
    (["running"], 4), (["failed", "pending"], 4),
])
def test_wait_tells_by_its_status_what_became_of_them(store, path, capsys, statuses, expected):
    ids = [make_workload(status=status).id for status in statuses]

    ended = main(["--db", path, "wait", *ids, "--timeout", "0s", "--json"])

    shown = capsys.readouterr()
    final = [workload_id for workload_id, status in zip(ids, statuses, strict=True) if status not in (
        "running", "pending")]
    assert ended == expected
    assert [json.loads(line)["id"] for line in shown.out.splitlines()] == final
    assert shown.err.count("\n") == len(ids) - len(final)


def test_wait_shows_a_workload_once_it_is_final(store, path):
    workload = make_workload(status="running")

    with Started("--db", path, "wait", workload.id) as waiting:
        update_workload(workload.id, status="completed", output=b"42")
        shown, complaints = waiting.communicate()

    assert (waiting.returncode, complaints) == (0, "")
    assert "status       completed\n" in shown


def test_wait_for_a_workload_that_is_not_there_is_an_error(store, path, capsys):
    assert main(["--db", path, "wait", "nobody"]) == 1

    assert capsys.readouterr() == ("", "vulcan-store: there is no workload 'nobody'\n")


@pytest.mark.parametrize("options, expected", [
    (["--node-id", "n1"], {"a", "b"}), (["--started-before", "1h"], {"a", "c"}),
    (["--node-id", "n1", "--started-before", "1h"], {"a"}), (["--node-id", "n3"], set()),
])
def test_release_puts_back_what_a_node_ran_or_what_runs_too_long(store, path, capsys, options, expected):
    long_ago = datetime.now(UTC) - timedelta(days=1)
    for workload_id, node, fields in (("a", "n1", {"started_at": long_ago}), ("b", "n1", {}),
                                      ("c", "n2", {"started_at": long_ago}), ("d", "n2", {})):
        make_workload(id=workload_id, node_id=node, status="running", **fields)

    assert main(["--db", path, "release", *options]) == 0

    noun = "workload" if len(expected) == 1 else "workloads"
    assert capsys.readouterr().out == f"{len(expected)} {noun} released\n"
    assert {row[0] for row in rows(path, "SELECT id FROM workloads WHERE status = 'pending'")} == expected
