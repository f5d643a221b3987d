"""The command line: filters, pages, all of it, and ids only."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cases import each
from commandline import vulcan
from workloads import NOON

from vulcan_store import create_workloads
from vulcan_store.cli.display import ROWS_PER_BATCH
from vulcan_store.testing import make_workload


@pytest.fixture
def filled(file_store):
    """A store with workloads of several kinds, a to e."""
    for number, (workload_id, fields) in enumerate({
        "a": {"status": "failed", "runtime": "go", "isolation": ""},
        "b": {"status": "killed", "runtime": "wasm", "node_id": "n1", "started_at": NOON.replace(hour=1)},
        "c": {"status": "pending", "runtime": "wasm", "input_hash": "abc"},
        "d": {"status": "running", "runtime": "oci", "node_id": "n2"},
        "e": {"status": "pending", "runtime": "go", "isolation": "gvisor"},
    }.items()):
        make_workload(id=workload_id, created_at=NOON.replace(hour=number), **fields)


@each("options, expected", [
    ("--status failed,killed", "ba"), ("--status failed --status running", "da"), ("--isolation gvisor,", "ea"),
    ("--runtime wasm --runtime oci,go --status pending", "ec"), ("--node-id n1 --node-id n2", "db"),
    ("--node-id n1,n2", ""), ("--input-hash abc", "c"), ("--since 2026-02-18T03:00:00Z", "ed"),
    ("--before 2026-02-18T02:00:00+01:00", "a"), ("--since '2026-02-18 01:00:00' --before 2026-02-18T03", "cb"),
    ("--since 2026-02-18", "edcba"), ("--since 1h", ""), ("--limit 2 --offset 1", "dc"),
    ("--started-since 2026-02-18T03:00:00Z", "d"), ("--started-before 2026-02-18T03:00:00Z", "b"),
    ("--finished-since 2026-02-18T01:00:00Z", "b"), ("--finished-before 2026-02-18T01:00:00Z", "a"),
    ("--created-since 2026-02-18T04:00:00Z", "e"), ("--created-before 2026-02-18T00:00:00.5Z", "a"),
])
def test_list_takes_every_filter_and_any_form_of_time(filled, options, expected):
    assert vulcan(f"list --quiet {options}") == (0, "".join(f"{one}\n" for one in expected), "")


@each("text, ago", [
    ("60s", 60), ("15m", 15 * 60), ("12h", 12 * 3600), ("30d", 30 * 86400), ("4w", 28 * 86400),
])
def test_a_time_may_say_how_long_ago_it_was(file_store, text, ago):
    for workload_id, seconds in (("earlier", ago + 30), ("later", ago - 30)):
        make_workload(id=workload_id, created_at=datetime.now(UTC) - timedelta(seconds=seconds))

    assert vulcan(f"list --quiet --since {text}").stdout == "later\n"


@each("options, expected, footer", [
    ("--limit 2", "ed", "1-2 of 5"), ("--limit 2 --page 3", "a", "5-5 of 5"), ("--offset 3", "ba", "4-5 of 5"),
    ("--page 999999999999999999999999", "", "0 of 5"), ("--status completed", "", "0 of 0"),
    ("--all", "edcba", "1-5 of 5"), ("--all --status completed", "", "0 of 0"),
])
def test_a_table_ends_with_which_part_it_is(filled, options, expected, footer):
    *table, last = vulcan(f"list {options}").stdout.splitlines()

    assert [line.split()[0] for line in table] == (["ID", *expected] if expected else [])
    assert last == footer


@each("options", ["", "--quiet", "--json"])
def test_all_prints_what_is_beyond_a_page_too(file_store, options):
    count = 2 * ROWS_PER_BATCH + 1
    create_workloads({"runtime": "go", "id": f"w{number:04}"} for number in range(count))

    lines = vulcan(f"list --all {options}").stdout.splitlines()

    shown = lines if options else lines[1:-1]
    ids = [json.loads(line)["id"] if options == "--json" else line.split()[0] for line in shown]
    assert ids == [f"w{number:04}" for number in reversed(range(count))]
