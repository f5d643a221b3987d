"""The command line: the log of a workload, once and while it grows."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial

import pytest
from commandline import Started, on_terminal, vulcan

from vulcan_store import (
    LogLine,
    append_log_lines,
    delete_workload,
    list_log_lines,
    open_store,
    update_workload_status,
)
from vulcan_store.cli import logs
from vulcan_store.cli.main import main
from vulcan_store.operations.log_tail import LINES_PER_BATCH
from vulcan_store.testing import make_workload


@pytest.fixture
def running(path, monkeypatch):
    """A running workload with a line in its log, in a file store that is open here; who follows it looks often."""
    monkeypatch.setattr(logs, "FOLLOW_INTERVAL", 0.01)
    with open_store(path):
        workload = make_workload(status="running")
        append_log_lines(workload.id, ["first"])
        yield workload


def test_logs_prints_the_lines_in_order(running, path):
    append_log_lines(running.id, ["zweite größere", ""])

    ended = vulcan("--db", path, "logs", running.id)

    assert (ended.stdout, ended.stderr, ended.returncode) == ("first\nzweite größere\n\n", "", 0)


def test_logs_as_json_has_the_numbers_and_times(running, path, capsys):
    assert main(["--db", path, "logs", running.id, "--json"]) == 0

    (line,) = list_log_lines(running.id)
    moment = line.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert json.loads(capsys.readouterr().out) == {
        "id": line.id, "workload_id": running.id, "seq": 0, "line": "first", "created_at": moment,
    }


def test_logs_longer_than_what_is_read_at_once_come_whole(running, path, capsys):
    append_log_lines(running.id, map(str, range(2 * LINES_PER_BATCH)))

    main(["--db", path, "logs", running.id])

    assert capsys.readouterr().out.split() == ["first", *map(str, range(2 * LINES_PER_BATCH))]


@pytest.mark.parametrize("length, expected", [("0", []), ("2", ["3", "4"]), ("5", ["first", "1", "2", "3", "4"]),
                                              ("9" * 30, ["first", "1", "2", "3", "4"])])
def test_tail_begins_with_the_last_lines(running, path, capsys, length, expected):
    append_log_lines(running.id, map(str, range(1, 5)))

    assert main(["--db", path, "logs", running.id, "--tail", length]) == 0

    assert capsys.readouterr().out.splitlines() == expected


def test_a_tail_of_a_log_with_equal_numbers_is_the_end_of_the_whole(running, path, capsys):
    for line in ("a", "b", "c"):
        LogLine.create(workload=running.id, seq=7, line=line)

    main(["--db", path, "logs", running.id, "--tail", "2"])

    assert capsys.readouterr().out == "b\nc\n"


def test_a_tail_that_is_followed_goes_on_with_what_is_new(running, path):
    append_log_lines(running.id, ["second"])
    with Started("--db", path, "logs", "--follow", "--tail", "1", running.id) as following:
        first = following.stdout.readline()
        append_log_lines(running.id, ["third"])
        update_workload_status(running.id, "completed")
        rest, complaints = following.communicate()

    assert (first, rest, complaints) == ("second\n", "third\n", "")


def test_log_appends_the_lines_of_stdin_as_they_come(running, path):
    with Started("--db", path, "log", running.id) as logging:
        logging.stdin.write("second\nthi")
        logging.stdin.flush()
        with Started("--db", path, "logs", "--follow", running.id) as following:
            shown = [following.stdout.readline(), following.stdout.readline()]
            following.send_signal(signal.SIGTERM)
        said, complaints = logging.communicate("rd\n\nlast")

    assert shown == ["first\n", "second\n"]
    assert (said, complaints, logging.returncode) == ("4 lines appended\n", "", 0)
    assert [line.line for line in list_log_lines(running.id)] == ["first", "second", "third", "", "last"]


def test_log_takes_bytes_of_any_kind_and_line_breaks_of_either(running, path):
    ended = vulcan("--db", path, "log", running.id, stdin=b"gr\xc3\xbcn\r\n\xff\xc3")

    assert (ended.stdout, ended.returncode) == ("2 lines appended\n", 0)
    assert [line.line for line in list_log_lines(running.id)] == ["first", "grün", "\ufffd\ufffd"]


def test_log_of_a_workload_that_is_not_there_reads_nothing(path, running):
    with Started("--db", path, "log", "nobody") as logging:
        complaints = logging.stderr.read()

    assert (logging.returncode, complaints) == (1, "vulcan-store: there is no workload 'nobody'\n")


def test_logs_that_are_followed_end_with_the_workload(running, path):
    with Started("--db", path, "logs", "--follow", running.id) as following:
        first = following.stdout.readline()
        append_log_lines(running.id, ["second"])
        second = following.stdout.readline()
        append_log_lines(running.id, ["third"])
        update_workload_status(running.id, "completed")
        rest, complaints = following.communicate()

    assert (first, second, rest, complaints) == ("first\n", "second\n", "third\n", "")
    assert following.returncode == 0


def test_a_followed_log_misses_no_line_whatever_its_number(running, path):
    append_log_lines(running.id, ["second", "third"])
    with Started("--db", path, "logs", "--follow", running.id) as following:
        shown = [following.stdout.readline() for _ in range(3)]
        for seq, line in ((0, "first of a new run"), (1, "between"), (0, "of a third run"), (9, "far")):
            LogLine.create(workload=running.id, seq=seq, line=line)
            shown.append(following.stdout.readline())
        update_workload_status(running.id, "killed")
        rest, complaints = following.communicate()

    assert "".join(shown).splitlines() == [
        "first", "second", "third", "first of a new run", "between", "of a third run", "far"
    ]
    assert (rest, complaints) == ("", "")


def test_logs_that_are_followed_end_quietly_with_ctrl_c(running, path):
    with Started("--db", path, "logs", "--follow", running.id) as following:
        following.stdout.readline()
        following.send_signal(signal.SIGINT)
        rest, complaints = following.communicate()

    assert (rest, complaints, following.returncode) == ("", "", 130)


def test_logs_of_a_workload_that_is_not_there_are_an_error(running, path):
    ended = vulcan("--db", path, "logs", "nobody")

    assert (ended.returncode, ended.stderr) == (1, "vulcan-store: there is no workload 'nobody'\n")


def test_a_lock_that_lasts_is_waited_for_and_every_line_is_stored(running, path, monkeypatch):
    monkeypatch.setattr("vulcan_store.cli.main.open_store", partial(open_store, pragmas={"busy_timeout": 20}))
    with Started("--db", path, "log", running.id) as logging:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            logging.stdin.write("second\n")
            logging.stdin.flush()
            told = logging.stderr.readline()
            other.execute("COMMIT")
        said, complaints = logging.communicate("third\n")

    assert "it is locked" in told and told.endswith("still waiting\n")
    assert (said, complaints, logging.returncode) == ("2 lines appended\n", "", 0)
    assert [line.line for line in list_log_lines(running.id)] == ["first", "second", "third"]


def test_ctrl_c_in_a_pipeline_leaves_the_last_words_to_the_job(running, path):
    with Started("--db", path, "log", running.id) as logging:
        logging.stdin.write("second\n")
        logging.stdin.flush()
        with Started("--db", path, "logs", "--follow", running.id) as following:
            assert [following.stdout.readline() for _ in range(2)] == ["first\n", "second\n"]
            following.send_signal(signal.SIGTERM)
        logging.send_signal(signal.SIGINT)
        said, complaints = logging.communicate("last words")

    assert (said, complaints, logging.returncode) == ("2 lines appended\n", "", 0)
    assert [line.line for line in list_log_lines(running.id)] == ["first", "second", "last words"]


def test_the_handler_of_ctrl_c_is_as_before(running, path):
    before = signal.getsignal(signal.SIGINT)

    vulcan("--db", path, "log", running.id, stdin="a\n")

    assert signal.getsignal(signal.SIGINT) is before


def test_a_workload_that_is_deleted_meanwhile_does_not_break_the_jobs_pipe(running, path):
    with Started("--db", path, "log", running.id) as logging:
        logging.stdin.write("second\n")
        logging.stdin.flush()
        with Started("--db", path, "logs", "--follow", running.id) as following:
            assert [following.stdout.readline() for _ in range(2)] == ["first\n", "second\n"]
            following.send_signal(signal.SIGTERM)
        delete_workload(running.id)
        logging.stdin.write("x\n" * 100_000)  # more than a pipe holds
        said, complaints = logging.communicate()

    assert (said, logging.returncode) == ("1 line appended\n", 1)
    assert complaints == f"vulcan-store: there is no workload {running.id!r}\n"


def test_a_carriage_return_within_a_line_stays_in_it(running, path):
    vulcan("--db", path, "log", running.id, stdin="1%\r2%\r100%\ndone\r")

    assert [line.line for line in list_log_lines(running.id)] == ["first", "1%\r2%\r100%", "done\r"]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_of_more_than_a_megabyte_is_parted_between_characters(running, path, end):
    text = "x" + "€" * 1_000_000

    vulcan("--db", path, "log", running.id, stdin=text + end)

    first, *parts = [line.line for line in list_log_lines(running.id)]
    assert "".join(parts) == text
    assert [len(part.encode()) for part in parts] == [1_000_000, 999_999, 999_999, 3]


def test_the_time_for_a_line_without_an_end_grows_with_its_length(running, path):
    def duration(size):
        start = time.process_time()
        vulcan("--db", path, "log", running.id, stdin=b"12%\r" * (size // 4))
        return time.process_time() - start

    duration(100_000)
    short = min(duration(2_000_000) for _ in range(3))

    assert duration(16_000_000) < 8 * short * 3


def test_a_terminal_sees_escapes_where_a_pipe_gets_what_is_stored(running, path):
    append_log_lines(running.id, ["\x1b[2J\x7f"])

    assert on_terminal("--db", path, "logs", running.id) == "first\n\\x1b[2J\\x7f\n"
    assert vulcan("--db", path, "logs", running.id).stdout == "first\n\x1b[2J\x7f\n"
