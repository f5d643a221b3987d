"""The command line: arguments, errors, and how it ends."""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import server_file
from cases import each
from commandline import rows, vulcan

from vulcan_store import __version__, get_workload
from vulcan_store.cli.main import COMMANDS
from vulcan_store.testing import make_workload

READING = [
    "list", "get s1", "logs s1", "stats", "export", "wait s1 --timeout 0s", "purge --finished-before 0s --dry-run",
]


@each("command", [
    "", "unknown", "create", "create --runtime cobol", "create --runtime go --mem-limit much",
    "list --offset 1.5",
    "list --since yesterday", "list --since 999999999999d", "get", "get a --json --output -", "update a",
    "update a --mem-limit 1", "update a '--err=of several words'", "purge",
    "purge --finished-before 30", "backup", "import file", "wait", "delete", "wait a --timeout soon",
    "wait a --timeout -1", "release", "restore", "log", "claim n --wait x", "list --stat failed",
    "--version2", "list --all --limit 3", "list --all --page 2", "list --page 2 --offset 3",
    "list --quiet --json",
])
def test_wrong_usage_has_status_2_says_how_to_use_it_and_changes_nothing(file_store, command):
    made = make_workload(id="a", status="running")

    ended = vulcan(command)

    assert (ended.returncode, ended.stdout, ended.stderr[:19]) == (2, "", "usage: vulcan-store")
    assert get_workload("a") == made


@each("command, usage", [
    ("lst", "vulcan-store"), ("--vresion stats", "vulcan-store stats"), ("list --statsu x", "vulcan-store list"),
    ("purge", "vulcan-store purge"),
])
def test_a_slip_is_answered_by_the_usage_and_what_is_wrong(command, usage):
    shown = vulcan(command).stderr

    assert shown.startswith(f"usage: {usage} [-h]")
    assert shown.splitlines()[-1].startswith(f"{usage}: error: ")


def test_a_value_may_look_like_an_option(file_store):
    vulcan("create --runtime go --id=--id --error '--no such flag'")

    assert vulcan("get -- --id").returncode == 0
    assert get_workload("--id").error == "--no such flag"


def test_the_help_names_every_command_and_the_version_is_the_packages():
    shown = vulcan("--help")

    assert re.findall("^    ([a-z]+) ", shown.stdout, re.MULTILINE) == list(COMMANDS)
    assert vulcan("--version") == (0, f"vulcan-store {__version__}\n", "")


@each("command", list(COMMANDS))
def test_the_help_of_a_command_shows_an_example_within_80_columns(monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")

    ended = vulcan(command, "--help")

    assert ended.returncode == 0
    assert "vulcan-store" in ended.stdout.partition("Example: ")[2]
    assert max(map(len, ended.stdout.splitlines())) <= 80


@each("target", ["mistyped.db", "sqlite:///mistyped.db", "SQLite:///mistyped.db"])
@each("command", [
    *READING, "update x --status failed", "delete x", "claim x", "release --node-id x", "log x", "backup copy.db",
    "purge --finished-before 1d", "vacuum",
])
def test_a_store_that_is_not_there_is_an_error_and_stays_so(tmp_path, monkeypatch, command, target):
    monkeypatch.chdir(tmp_path)

    ended = vulcan(command, "--db", target)

    reason = "there is no such file; create, import and restore make one, --db names another"
    assert ended == (1, "", f"vulcan-store: store {target!r}: {reason}\n")
    assert os.listdir(tmp_path) == []


def test_a_command_that_reads_changes_nothing_about_a_file_without_our_indexes(tmp_path, path):
    server_file.build(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE workloads SET status = 'completed' WHERE id = 's1'")
        connection.commit()
    before = Path(path).read_bytes()

    for command in READING:
        assert vulcan("--db", path, *command.split()).returncode == 0

        assert Path(path).read_bytes() == before
        assert os.listdir(tmp_path) == ["vulcan.db"]


@each("command, complaint", [
    *((f"{command} nobody", "there is no workload 'nobody'") for command in ("get", "delete", "log", "logs", "wait")),
    ("update a --status running", "workload 'a' is failed, which is final; it cannot become running"),
    ("create --runtime go --id a", "workload 'a' exists already"),
    ("create --runtime go --mem-limit -1", "mem_limit is -1; it must be an int from 0 to 2**63-1 or None"),
    ("list --status failed,no", "status is 'no'; it must be one of pending, running, completed, failed, killed"),
    ("list --limit -1", "limit is -1; it must be a whole number from 0"),
    ("list --page 0", "page is 0; it must be a whole number from 1"),
    ("logs a --tail -1", "tail is -1; it must be a whole number from 0"),
    ("update a --output missing/result", "[Errno 2] No such file or directory: 'missing/result'"),
])
def test_an_error_is_one_line_and_changes_nothing(file_store, path, command, complaint):
    make_workload(id="a", status="failed")
    before = rows(path, "SELECT * FROM workloads")

    assert vulcan(command) == (1, "", f"vulcan-store: {complaint}\n")
    assert rows(path, "SELECT * FROM workloads") == before


def test_a_file_that_is_no_store_is_an_error_of_one_line(path):
    Path(path).write_text("no database\n" * 100)

    assert vulcan("--db", path, "list") == (1, "", f"vulcan-store: store {path!r}: file is not a database\n")
