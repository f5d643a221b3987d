"""The command line: the log of a workload, once and while it grows."""

import json
import signal
import sqlite3
from contextlib import closing
from functools import partial

import pytest
from cases import each
from commandline import Started, vulcan

from vulcan_store import (
    LogLine,
    append_log_lines,
    delete_workload,
    list_log_lines,
    open_store,
    update_workload_status,
)
from vulcan_store.cli import arguments
from vulcan_store.operations.logs import LINES_PER_BATCH
from vulcan_store.testing import make_workload


@pytest.fixture
def running(file_store):
    """A running workload, w, with a line in its log."""
    make_workload(id="w", status="running")
    append_log_lines("w", ["first"])


def lines():
    return [line.line for line in list_log_lines("w")]


def wait_for_lines(count):
    """Wait until another process has appended so many."""
    with Started("logs w --follow") as following:
        shown = [following.stdout.readline() for _ in range(count)]
        following.send_signal(signal.SIGTERM)
    return shown


def test_logs_prints_the_lines_in_order_however_many(running):
    append_log_lines("w", ["zweite größere", "", *map(str, range(2 * LINES_PER_BATCH))])

    assert vulcan("logs w") == (0, "".join(f"{line}\n" for line in lines()), "")


def test_logs_as_json_are_in_the_servers_form(running):
    (line,) = list_log_lines("w")

    assert json.loads(vulcan("logs w --json").stdout) == line.to_dict()


@each("length, expected", [
    ("0", ""), ("2", "34"), ("4", "1234"), ("999999999999999999999999", "01234"),
])
def test_tail_begins_with_the_last_lines_also_where_numbers_are_equal(file_store, length, expected):
    workload = make_workload(id="w")
    for line in "01234":
        LogLine.create(workload=workload.id, seq=7, line=line)

    assert vulcan(f"logs w --tail {length}").stdout.splitlines() == list(expected)


def test_logs_that_are_followed_show_what_is_new_and_end_with_the_workload(running):
    append_log_lines("w", ["second"])
    with Started("logs --follow w --tail 1") as following:
        shown = [following.stdout.readline()]
        for seq, line in ((9, "far"), (0, "of a new run")):
            LogLine.create(workload="w", seq=seq, line=line)
            shown.append(following.stdout.readline())
        append_log_lines(make_workload().id, ["another's"])
        append_log_lines("w", ["last"])
        update_workload_status("w", "completed")
        rest = following.communicate()

    assert shown == ["second\n", "far\n", "of a new run\n"]
    assert (rest, following.returncode) == (("last\n", ""), 0)


def test_logs_that_are_followed_end_quietly_with_ctrl_c(running):
    with Started("logs --follow w") as following:
        following.stdout.readline()
        following.send_signal(signal.SIGINT)
        rest = following.communicate()

    assert (rest, following.returncode) == (("", ""), 130)


def test_log_appends_the_lines_of_stdin_as_they_come_and_leaves_ctrl_c_to_the_job(running):
    with Started("log w") as logging:
        logging.stdin.write("second\n")
        shown = wait_for_lines(2)
        logging.send_signal(signal.SIGINT)
        said = logging.communicate("third\n\nlast words")

    assert shown == ["first\n", "second\n"]
    assert (said, logging.returncode) == (("4 appended\n", ""), 0)
    assert lines() == ["first", "second", "third", "", "last words"]


@pytest.mark.parametrize("text, expected", [
    (b"gr\xc3\xbcn\r\n\xff\xc3", ["grün", "\ufffd\ufffd"]), (b"1%\r2%\r100%\ndone\r", ["1%\r2%\r100%", "done\r"]),
    (b"\n\n", ["", ""]), (b"", []),
])
def test_log_takes_bytes_of_any_kind_and_ends_a_line_at_a_line_feed_alone(running, text, expected):
    assert vulcan("log w", stdin=text) == (0, f"{len(expected)} appended\n", "")
    assert lines() == ["first", *expected]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_of_more_than_a_million_characters_is_parted_between_them(running, end):
    text = "x" + "€" * 2_100_000

    vulcan("log w", stdin=text + end)

    first, *parts = lines()
    assert "".join(parts) == text
    assert [len(part) for part in parts] == [1_000_000, 1_000_000, 100_001]


def test_a_lock_that_lasts_is_waited_for_and_every_line_is_stored(running, path, monkeypatch):
    monkeypatch.setattr(arguments, "open_store", partial(open_store, pragmas={"busy_timeout": 50}))
    with Started("log w") as logging:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            logging.stdin.write("second\n")
            told = logging.stderr.readline()
            other.execute("COMMIT")
        said = logging.communicate("third\n")

    assert "it is locked" in told and told.endswith("still waiting\n")
    assert (said, logging.returncode) == (("2 appended\n", ""), 0)
    assert lines() == ["first", "second", "third"]


def test_a_workload_that_is_deleted_meanwhile_does_not_break_the_jobs_pipe(running):
    with Started("log w") as logging:
        logging.stdin.write("second\n")
        wait_for_lines(2)
        delete_workload("w")
        logging.stdin.write("x\n" * 100_000)  # more than a pipe holds
        said = logging.communicate()

    assert (said, logging.returncode) == (("1 appended\n", "vulcan-store: there is no workload 'w'\n"), 1)
