"""The command line: counting, purging, backing up and restoring."""

import json
import os

from commandline import rows, vulcan

from vulcan_store import append_log_lines, create_workload, create_workloads
from vulcan_store.models.clock import from_text
from vulcan_store.testing import make_workload


def test_stats_counts_every_status_and_isolation(file_store):
    create_workload(runtime="go", status="completed", isolation="", duration_ms=2400)
    create_workloads([{"runtime": "go"}] * 1200)

    assert vulcan("stats").stdout.splitlines() == [
        "workloads                 1,201",
        "status pending            1,200",
        "status running                0",
        "status completed              1",
        "status failed                 0",
        "status killed                 0",
        "isolation auto            1,200",
        "isolation microvm             0",
        "isolation isolate             0",
        "isolation gvisor              0",
        "isolation (empty)             1",
        "average of completed       2.4s",
    ]
    assert json.loads(vulcan("stats --json").stdout) == {
        "total": 1201,
        "by_status": {"pending": 1200, "completed": 1},
        "by_isolation": {"auto": 1200, "": 1},
        "avg_duration_ms": 2400,
    }


def test_stats_of_nothing_as_json_have_the_servers_keys(file_store):
    assert vulcan("stats --json").stdout == '{"total": 0, "by_status": {}, "by_isolation": {}, "avg_duration_ms": 0}\n'


def test_purge_deletes_what_finished_long_ago_with_its_log(file_store, path):
    for workload_id, day in (("old", "2020-01-01"), ("new", "9000-01-01")):
        make_workload(id=workload_id, status="failed", created_at=from_text(day))
        append_log_lines(workload_id, ["a line"])
    make_workload(id="pending")

    tried = vulcan("purge --finished-before 30d --dry-run")
    left = rows(path, "SELECT id FROM workloads ORDER BY id")
    done = vulcan("purge --finished-before 30d")

    assert (tried.stdout, left) == ("1 would be deleted\n", [("new",), ("old",), ("pending",)])
    assert done == (0, "1 deleted\n", "")
    assert rows(path, "SELECT id FROM workloads ORDER BY id") == [("new",), ("pending",)]
    assert rows(path, "SELECT workload_id FROM log_lines") == [("new",)]


def test_a_backup_is_a_new_file_and_a_restore_puts_it_in_place_of_what_is_there(file_store, path, tmp_path):
    copy = tmp_path / "copy.db"
    make_workload(id="w")

    first = vulcan("backup", copy)
    make_workload(id="later")
    second = vulcan("backup", copy)
    between = rows(copy, "SELECT id FROM workloads")
    restored = vulcan("restore", copy)

    assert first == (0, f"{os.path.getsize(copy):,} bytes copied\n", "")
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
    assert restored == (0, "1 restored\n", "")
    assert between == rows(path, "SELECT id FROM workloads") == [("w",)]
