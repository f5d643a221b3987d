"""How it looks at a terminal: the table, colour, and the words for ages and durations."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from commandline import on_terminal, vulcan

from vulcan_store import Workload, create_workloads, list_workloads, open_store
from vulcan_store.cli import display
from vulcan_store.testing import make_workload

NOW = datetime(2026, 2, 18, 11, 12, 42, tzinfo=UTC)
WIDE = {
    "isolation": "microvm", "runtime": "python", "node_id": "node-17.eu-west-1.example", "duration_ms": 45_240_000,
    "status": "completed",
}


def unpainted(text):
    return re.sub(r"\x1b\[\d*[mK]", "", text)


@pytest.fixture
def three(path):
    """A path to a store with three workloads: one done, one failed, one pending."""
    with open_store(path):
        make_workload(**{**WIDE, "output": b"12"})
        make_workload(**{**WIDE, "status": "failed"})
        make_workload(created_at=datetime.now(UTC) - timedelta(days=3))
    return path


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_table_of_three_fits_the_terminal(three, columns):
    seen = unpainted(on_terminal("--db", three, "list", columns=columns)).splitlines()

    assert max(map(len, seen)) <= columns
    assert [len(line.split()) for line in seen] == [7, 7, 7, 7, 3]
    assert all(len(line.split()[0]) == 26 for line in seen[1:4])
    assert ("node-17.eu-west-1.example" in seen[1]) == (columns > 80)


def test_the_last_page_of_very_many_fits_the_terminal(path, effort):
    many = effort(1_000, long=100_000)
    with open_store(path):
        create_workloads({**WIDE, "created_at": NOW} for _ in range(many))

    *table, footer = unpainted(on_terminal("--db", path, "list", "--offset", many - 10)).splitlines()

    assert (len(table), footer) == (11, f"{many - 9:,}-{many:,} of {many:,}")
    assert {len(line) for line in table} == {80}


def test_everything_that_is_cut_at_a_terminal_is_whole_in_a_pipe(three):
    assert "node-17.eu-west-1.example" in vulcan("--db", three, "list").stdout


def test_a_status_has_its_colour_on_a_terminal_only(three):
    at_terminal = on_terminal("--db", three, "list")
    in_pipe = vulcan("--db", three, "list").stdout

    assert "\x1b[32mcompleted\x1b[0m" in at_terminal
    assert "\x1b[31mfailed   \x1b[0m" in at_terminal
    assert "\x1b[33mpending  \x1b[0m" in at_terminal
    assert "\x1b" not in in_pipe


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_there_is_no_colour_where_it_is_not_wanted(three, setting):
    assert "\x1b" not in on_terminal("--db", three, "list", **setting)


@pytest.mark.parametrize("line, said", [
    ("import", "waiting for an export, one workload a line; Ctrl-D ends it"),
    ("log {}", "every line that you type is appended; Ctrl-D ends"),
])
def test_what_reads_from_a_terminal_says_what_it_waits_for(three, line, said):
    with open_store(three):
        workload_id = list_workloads().items[0].id

    seen = on_terminal("--db", three, *line.format(workload_id).split(), stdin=None, until=b"Ctrl-D ends")

    assert said in seen


@pytest.mark.parametrize("ago, expected", [
    (timedelta(0), "0s"), (timedelta(seconds=-5), "0s"), (timedelta(seconds=59.9), "59s"),
    (timedelta(seconds=60), "1m"),
    (timedelta(minutes=59), "59m"), (timedelta(hours=23), "23h"), (timedelta(days=364), "364d"),
    (timedelta(days=800), "2y"),
])
def test_an_age_is_in_its_largest_unit(ago, expected):
    assert display.age(NOW - ago, NOW) == expected


def test_the_age_of_what_is_no_time_is_not_known():
    assert display.age("soon", NOW) == "?"


@pytest.mark.parametrize("milliseconds, expected", [
    (None, "-"), (0, "0ms"), (999, "999ms"), (1_000, "1.0s"), (59_999, "59.9s"), (60_000, "1m00s"),
    (3_599_999, "59m59s"), (3_600_000, "1h00m"), (86_399_999, "23h59m"), (86_400_000, "1d00h"),
    (90_000_000_000, "1,041d16h"), (350.4, "350ms"), (999.7, "999ms"),
])
def test_a_duration_is_in_two_units_at_most(milliseconds, expected):
    assert display.duration(milliseconds) == expected


@pytest.mark.parametrize("text, columns, expected", [
    ("node", 4, "node"), ("node-1", 4, "nod…"), ("ノード", 6, "ノード"), ("ノード", 5, "ノー…"),
    ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
])
def test_a_text_is_cut_to_the_columns_that_it_takes(text, columns, expected):
    assert display.cut(text, columns) == expected


def test_what_a_terminal_would_obey_is_escaped():
    assert display.plain("a\x1b[2Jb\nc\td\ud800\x9b") == r"a\x1b[2Jb\nc\td\ud800\x9b"


def test_a_table_keeps_its_shape_whatever_its_words_are():
    strange = [
        Workload(id="ノード" * 20, status="of-a-newer-server", runtime="python", node_id="a\nb", created_at=NOW),
        Workload(id="w", isolation="", runtime="go", node_id="", created_at="soon", duration_ms=2**63 - 1),
    ]

    whole = list(display.table([strange], NOW, None, colour=True))
    narrow = list(display.table([strange], NOW, 80, colour=False))

    assert len({display.width(unpainted(line)) for line in whole}) == 1
    assert max(map(display.width, narrow)) <= 80
    assert r"a\nb" in whole[1]
    assert unpainted(whole[2]).split()[2:] == ["-", "go", "-", "?", "106,751,991,167d07h"]


def test_a_column_is_as_wide_as_what_has_come_so_far():
    batches = [[Workload(id=name, runtime="go", created_at=NOW)] for name in ("w", "w" * 26, "v")]

    lines = list(display.table(iter(batches), NOW, None, colour=False))

    assert [line.split()[0] for line in lines] == ["ID", "w", "w" * 26, "v"]
    assert [line.index("pending") for line in lines[1:]] == [4, 28, 28]


@pytest.mark.parametrize("columns", [0, 1, 20, 40])
def test_a_table_is_cut_at_the_terminals_width(three, columns):
    lines = unpainted(on_terminal("--db", three, "list", columns=columns)).splitlines()

    assert {len(line) for line in lines[:-1]} == {columns or 80}


def test_a_node_with_a_long_name_is_cut_at_once():
    long = Workload(id="w", runtime="go", node_id="n" * 10_000, created_at=NOW)
    start = time.process_time()

    lines = list(display.table([[long] * 20], NOW, 80, colour=False))

    assert {len(line) for line in lines} == {80}
    assert time.process_time() - start < 1
