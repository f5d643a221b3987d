"""Log lines: appended without gaps, whoever else appends, and read from where one left off."""

from datetime import UTC, datetime

import pytest
from cases import each
from guarantees.processes import PATIENCE, in_processes

from vulcan_store import (
    InvalidWorkloadError,
    LogLine,
    append_log_lines,
    list_log_lines,
    open_store,
)
from vulcan_store.testing import make_workload


class OutOfInput(Exception):
    pass


def log(workload_id="w", **options):
    return [(line.seq, line.line) for line in list_log_lines(workload_id, **options)]


def interrupted():
    yield "one"
    raise OutOfInput


def append_often(barrier, place, target):
    with open_store(target):
        barrier.wait(PATIENCE)
        for time in range(15):
            append_log_lines("w", [f"{place} {time} {number}" for number in range(3)])


def test_a_line_says_whose_it_is_and_when_it_was_written(store):
    make_workload(id="w")
    start = datetime.now(UTC)

    append_log_lines("w", ["a"])

    (line,) = list_log_lines("w")
    assert isinstance(line, LogLine)
    assert (line.workload_id, line.workload.id, line.seq, line.line) == ("w", "w", 0, "a")
    assert start <= line.created_at <= datetime.now(UTC)
    assert line.__data__ == LogLine.get_by_id(line.id).__data__


@each("line", ["", " a ", "two\nlines", "ünïcödé 🦊", "x" * 100_000])
def test_a_line_is_stored_as_it_is(store, line):
    make_workload(id="w")

    append_log_lines("w", [line])

    assert log() == [(0, line)]


@each("options, expected", [
    ({"after": None, "limit": None}, [0, 1, 2, 3, 4]), ({"after": 2}, [3, 4]), ({"after": 2**63}, []),
    ({"limit": 0}, []), ({"limit": 2**63}, [0, 1, 2, 3, 4]), ({"after": 1, "limit": 2}, [2, 3]),
])
def test_a_part_of_the_log_is_read_by_number(store, options, expected):
    make_workload(id="w")
    append_log_lines("w", list("abcde"))

    assert log(**options) == [(seq, "abcde"[seq]) for seq in expected]


def test_lines_of_equal_numbers_come_by_id_and_pages_of_them_lose_none(store):
    made = make_workload(id="w")
    for place, seq in enumerate([0, 1, 2, 0, 1, 0, 0]):
        LogLine.create(workload=made, seq=seq, line=str(place))
    make_workload(id="v")
    append_log_lines("v", ["another's"])
    expected = [(0, "0"), (0, "3"), (0, "5"), (0, "6"), (1, "1"), (1, "4"), (2, "2")]

    for limit in range(1, 8):
        pages, last = [], None
        while page := list_log_lines("w", after=last, limit=limit):
            pages.append(page)
            last = page[-1]
        assert [(line.seq, line.line) for page in pages for line in page] == expected

    assert log() == expected
    assert log(after=0) == expected[4:]
    assert log(after=list_log_lines("w")[1]) == expected[2:]


@each("after", [LogLine(), LogLine(workload="w", seq=1, line="x")])
def test_a_line_that_was_not_stored_is_no_place_to_go_on_from(store, after):
    make_workload(id="w")

    with pytest.raises(InvalidWorkloadError) as refusal:
        list_log_lines("w", after=after)

    assert (refusal.value.field, refusal.value.value) == ("after", after)


@each("lines", [
    "text", b"text", ["a", None], ["a", b"b"], ["a", "\ud800"],
])
def test_what_is_no_list_of_text_is_refused_and_nothing_is_appended(store, lines):
    make_workload(id="w")
    append_log_lines("w", ["before"])

    with pytest.raises(InvalidWorkloadError):
        append_log_lines("w", lines)

    assert log() == [(0, "before")]


def test_an_error_of_the_iterables_own_passes_through_and_nothing_is_appended(store):
    make_workload(id="w")

    with pytest.raises(OutOfInput):
        append_log_lines("w", interrupted())

    assert log() == []
    append_log_lines("w", ["a"])
    assert log() == [(0, "a")]


@each("name", ["after", "limit"])
@each("value", [-1, 1.0, "1", True])
def test_a_part_that_is_no_whole_number_is_refused(store, name, value):
    make_workload(id="w")

    with pytest.raises(ValueError):
        list_log_lines("w", **{name: value})


@pytest.mark.parametrize("shared_store", ["file", "postgres"], indirect=True)
def test_processes_that_append_at_once_leave_no_gap_and_mix_no_lines(store, target):
    make_workload(id="w")

    in_processes(4, append_often, target)

    numbers, lines = zip(*log(), strict=True)
    assert numbers == tuple(range(4 * 15 * 3))
    appended = sorted((lines[start:start + 3] for start in numbers[::3]), key=lambda each: each[0].split()[0])
    assert appended == [
        tuple(f"{place} {time} {number}" for number in range(3)) for place in range(4) for time in range(15)
    ]


def test_a_log_whose_numbers_are_used_up_takes_no_more_and_says_so(store):
    make_workload(id="w")
    LogLine.create(workload="w", seq=2**63 - 2, line="a")

    assert append_log_lines("w", ["b"]) == 1
    with pytest.raises(InvalidWorkloadError) as refusal:
        append_log_lines("w", ["c"])

    assert refusal.value.field == "seq"
    assert [line.line for line in list_log_lines("w")] == ["a", "b"]
