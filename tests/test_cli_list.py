"""The command line: pages, all of it, and ids only."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from vulcan_store import create_workloads, open_store
from vulcan_store.cli.listing import ROWS_PER_BATCH
from vulcan_store.cli.main import main
from vulcan_store.testing import make_workload

NOON = datetime(2026, 2, 18, 12, tzinfo=UTC)


@pytest.fixture
def seven(path):
    """A path to a store with seven workloads, w0 to w6."""
    with open_store(path):
        create_workloads(
            {"runtime": "go", "id": f"w{number}", "created_at": NOON.replace(hour=number)} for number in range(7)
        )
    return path


@pytest.mark.parametrize("options, expected, footer", [
    (["--page", "1"], "w6 w5 w4", "1-3 of 7"), (["--page", "2"], "w3 w2 w1", "4-6 of 7"),
    (["--page", "3"], "w0", "7-7 of 7"), (["--page", "4"], "", "0 of 7"), (["--page", "9" * 30], "", "0 of 7"),
])
def test_pages_are_counted_from_1(seven, capsys, options, expected, footer):
    assert main(["--db", seven, "list", "--limit", "3", *options]) == 0

    *table, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[1:]] == expected.split()
    assert last == footer


@pytest.mark.parametrize("options, expected", [
    (["--started-since", "2026-02-18T12:00:00Z"], "late"), (["--started-before", "2026-02-18T12:00:00Z"], "early"),
    (["--finished-since", "2026-02-18T13:00:00Z"], "late"), (["--finished-before", "2026-02-18T13:00:00Z"], "early"),
    (["--created-since", "2026-02-18T11:00:00Z"], "late"), (["--created-before", "2026-02-18T11:00:00Z"], "early"),
])
def test_every_time_is_a_filter(path, capsys, options, expected):
    with open_store(path):
        for workload_id, hour in (("early", 1), ("late", 11)):
            times = {f"{name}_at": NOON.replace(hour=hour + place) for place, name in enumerate(
                ("created", "started", "finished"))}
            make_workload(id=workload_id, status="failed", **times)

    assert main(["--db", path, "list", "--quiet", *options]) == 0

    assert capsys.readouterr().out.split() == [expected]


def test_quiet_prints_ids_only(seven, capsys):
    main(["--db", seven, "list", "--quiet", "--limit", "2"])

    assert capsys.readouterr().out == "w6\nw5\n"


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
def test_all_prints_what_is_beyond_a_page_too(path, capsys, options):
    count = 2 * ROWS_PER_BATCH + 1
    with open_store(path):
        create_workloads({"runtime": "go", "id": f"w{number:04}"} for number in range(count))

    main(["--db", path, "list", "--all", *options])

    lines = capsys.readouterr().out.splitlines()
    shown = lines if options else lines[1:-1]
    ids = [json.loads(line)["id"] if options == ["--json"] else line.split()[0] for line in shown]
    assert ids == [f"w{number:04}" for number in reversed(range(count))]
    assert options or lines[-1] == f"1-{count} of {count}"


def test_all_of_nothing_says_so(path, capsys):
    open_store(path).close()

    main(["--db", path, "list", "--all"])

    assert capsys.readouterr().out == "0 of 0\n"


@pytest.mark.parametrize("options", [
    "--all --limit 3", "--all --page 2", "--page 2 --offset 3", "--page 0", "--quiet --json",
])
def test_what_does_not_go_together_is_wrong_usage(seven, capsys, options):
    with pytest.raises(SystemExit) as caught:
        main(["--db", seven, "list", *options.split()])

    assert (caught.value.code, capsys.readouterr().out) == (2, "")
