"""The command line: counting, purging, backing up and restoring."""

from __future__ import annotations

import json

import pytest
from commandline import rows, vulcan

from vulcan_store import append_log_lines, create_workload, create_workloads, open_store
from vulcan_store.models.clock import from_text
from vulcan_store.testing import make_workload


@pytest.fixture
def store(path):
    """A file store, open here while the commands work on it as well."""
    with open_store(path) as store:
        yield store


def test_stats_counts_every_status_and_isolation(store, path):
    create_workload(runtime="go", status="completed", isolation="", duration_ms=2400)
    create_workloads([{"runtime": "go"}] * 1200)

    shown = vulcan("--db", path, "stats")
    counted = vulcan("--db", path, "stats", "--json")

    assert shown.stdout.splitlines() == [
        "workloads             1,201",
        "status pending        1,200",
        "status running            0",
        "status completed          1",
        "status failed             0",
        "status killed             0",
        "isolation auto        1,200",
        "isolation microvm         0",
        "isolation isolate         0",
        "isolation gvisor          0",
        "isolation (empty)         1",
        "average of completed   2.4s",
    ]
    assert json.loads(counted.stdout) == {
        "total": 1201,
        "by_status": {"pending": 1200, "completed": 1},
        "by_isolation": {"auto": 1200, "": 1},
        "avg_duration_ms": 2400,
    }


def test_stats_as_json_have_the_servers_keys_and_0_where_nothing_has_a_duration(store, path):
    counted = vulcan("--db", path, "stats", "--json")

    assert list(json.loads(counted.stdout)) == ["total", "by_status", "by_isolation", "avg_duration_ms"]
    assert json.loads(counted.stdout)["avg_duration_ms"] == 0


def test_purge_deletes_what_finished_long_ago_with_its_log(store, path):
    for workload_id, day in (("old", "2020-01-01"), ("new", "9000-01-01")):
        make_workload(id=workload_id, status="failed", created_at=from_text(day))
        append_log_lines(workload_id, ["a line"])
    make_workload(id="pending")

    tried = vulcan("--db", path, "purge", "--finished-before", "30d", "--dry-run")
    left = rows(path, "SELECT id FROM workloads ORDER BY id")
    done = vulcan("--db", path, "purge", "--finished-before", "30d")

    assert (tried.stdout, left) == ("1 workload would be deleted\n", [("new",), ("old",), ("pending",)])
    assert (done.stdout, done.stderr) == ("1 workload deleted\n", "")
    assert rows(path, "SELECT id FROM workloads ORDER BY id") == [("new",), ("pending",)]
    assert rows(path, "SELECT workload_id FROM log_lines") == [("new",)]


def test_backup_copies_the_store_to_a_new_file_only(store, path, tmp_path):
    make_workload(id="w")
    copy = tmp_path / "copy.db"

    first = vulcan("--db", path, "backup", copy)
    make_workload(id="later")
    second = vulcan("--db", path, "backup", copy)

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith(f"{copy} (")
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert rows(copy, "SELECT id FROM workloads") == [("w",)]


def test_restore_puts_a_backup_in_place_of_what_is_there(store, path, tmp_path):
    make_workload(id="w")
    vulcan("--db", path, "backup", tmp_path / "copy.db")
    make_workload(id="later")

    ended = vulcan("--db", path, "restore", tmp_path / "copy.db")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1 workload restored\n", "")
    assert rows(path, "SELECT id FROM workloads") == [("w",)]


@pytest.mark.parametrize("content", [None, b"no database" * 100])
def test_restore_from_what_is_no_backup_changes_nothing(store, path, tmp_path, content):
    make_workload(id="w")
    if content is not None:
        (tmp_path / "copy.db").write_bytes(content)

    ended = vulcan("--db", path, "restore", tmp_path / "copy.db")

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert rows(path, "SELECT id FROM workloads") == [("w",)]
