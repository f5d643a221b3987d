"""The command line: arguments, errors, and how it ends."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import peewee
import pytest
import server_file
from commandline import rows, vulcan

from vulcan_store import __version__, open_store
from vulcan_store.cli.arguments import moment as time_of
from vulcan_store.cli.main import COMMANDS, main
from vulcan_store.testing import make_workload

NEEDED = {
    "get": ["x"], "update": ["x", "--status", "failed"], "claim": ["x"], "logs": ["x"], "backup": ["copy.db"],
    "purge": ["--finished-before", "1d"], "delete": ["x"], "wait": ["x"], "release": ["--node-id", "x"], "log": ["x"],
}
NAMES = list(COMMANDS)
NEEDING = sorted(set(COMMANDS) - {"create", "import", "restore"})


@pytest.fixture
def filled(path):
    """A path to a store with workloads of several kinds, a to e."""
    with open_store(path):
        for number, (workload_id, fields) in enumerate({
            "a": {"status": "failed", "runtime": "go", "isolation": ""},
            "b": {"status": "killed", "runtime": "wasm", "node_id": "n1"},
            "c": {"status": "pending", "runtime": "wasm", "input_hash": "abc"},
            "d": {"status": "running", "runtime": "oci", "node_id": "n2"},
            "e": {"status": "pending", "runtime": "go", "isolation": "gvisor"},
        }.items()):
            make_workload(id=workload_id, created_at=datetime(2026, 2, 18, number, tzinfo=UTC), **fields)
    return path


@pytest.mark.parametrize("options, expected", [
    (["--status", "failed,killed"], "ba"),
    (["--status", "failed", "--status", "running"], "da"),
    (["--runtime", "wasm", "--runtime", "oci,go", "--status", "pending"], "ec"),
    (["--isolation", "gvisor,"], "ea"),
    (["--node-id", "n1", "--node-id", "n2"], "db"),
    (["--node-id", "n1,n2"], ""),
    (["--input-hash", "abc"], "c"),
    (["--since", "2026-02-18T03:00:00Z"], "ed"),
    (["--before", "2026-02-18T02:00:00+01:00"], "a"),
    (["--since", "2026-02-18 01:00:00", "--before", "2026-02-18T03"], "cb"),
    (["--since", "1h"], ""),
    (["--limit", "2", "--offset", "1"], "dc"),
])
def test_list_takes_every_filter(filled, capsys, options, expected):
    assert main(["--db", filled, "list", *options]) == 0

    *table, footer = capsys.readouterr().out.splitlines()
    assert "".join(line.split()[0] for line in table[1:]) == expected


@pytest.mark.parametrize("options, expected", [
    ([], "1-5 of 5"), (["--limit", "2"], "1-2 of 5"), (["--limit", "2", "--offset", "4"], "5-5 of 5"),
    (["--offset", "5"], "0 of 5"), (["--status", "completed"], "0 of 0"),
])
def test_list_ends_with_which_part_was_shown(filled, capsys, options, expected):
    main(["--db", filled, "list", *options])

    assert capsys.readouterr().out.splitlines()[-1] == expected


@pytest.mark.parametrize("line", [
    "unknown", "create", "create --runtime cobol", "create --runtime go --mem-limit much",
    "list --status finished", "list --status failed,finished", "list --limit -1", "list --offset 1.5",
    "list --since yesterday", "list --since 999999999999d", "get", "get a --json --output -", "update a",
    "update a --mem-limit 1", "purge", "purge --finished-before 30", "backup", "import file", "wait", "delete",
    "wait a --timeout soon", "wait a --timeout -1", "release", "restore", "log", "logs a --tail -1",
    "claim n --wait x", "list --stat failed", "list --lim 3", "--version2",
])
def test_wrong_usage_has_status_2_and_says_how_to_use_it(filled, capsys, line):
    with pytest.raises(SystemExit) as caught:
        main(["--db", filled, *line.split()])

    shown = capsys.readouterr()
    assert (caught.value.code, shown.out, shown.err[:19]) == (2, "", "usage: vulcan-store")


@pytest.mark.parametrize("line, usage, nearest", [
    ("lst", "vulcan-store", "'list'"), ("frobnicate", "vulcan-store", None),
    ("--vresion stats", "vulcan-store", "'--version'"),
    ("list --statsu failed", "vulcan-store list", "'--status'"),
    ("create --runtme=go --runtime go", "vulcan-store create", "'--runtime'"),
    ("list --status failed,complted", "vulcan-store list", "'completed'"),
    ("create --runtime pyton", "vulcan-store create", "'python'"),
    ("stats now", "vulcan-store stats", None),
])
def test_a_slip_is_answered_by_the_usage_of_that_command_with_the_nearest_right_word(capsys, line, usage, nearest):
    with pytest.raises(SystemExit) as caught:
        main(line.split())

    shown = capsys.readouterr().err
    assert caught.value.code == 2
    assert shown.startswith(f"usage: {usage} [-h]")
    assert shown.splitlines()[-1].startswith(f"{usage}: error: ")
    assert shown.partition("maybe you meant ")[2] == (f"{nearest}?\n" if nearest else "")


def test_a_value_may_look_like_an_option_if_it_holds_a_space(path, capsys):
    assert main(["--db", path, "create", "--runtime", "go", "--error", "--no such flag", "--json"]) == 0

    assert '"error": "--no such flag"' in capsys.readouterr().out


def test_an_abbreviation_is_refused_whatever_its_value(filled):
    with pytest.raises(SystemExit) as caught:
        main(["--db", filled, "update", "c", "--err=of several words"])

    assert caught.value.code == 2
    assert rows(filled, "SELECT error FROM workloads WHERE id = 'c'") == [("",)]


def test_without_arguments_there_is_the_help(capsys):
    assert main([]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(f"\n    {name} " in shown.err for name in NAMES)


def test_version_says_what_is_in_use(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == (
        f"vulcan-store {__version__} (Python {platform.python_version()}, Peewee {peewee.__version__}, "
        f"SQLite {sqlite3.sqlite_version})\n"
    )


@pytest.mark.parametrize("command", NAMES)
def test_the_help_of_a_command_shows_an_example_within_80_columns(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")

    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])

    shown = capsys.readouterr().out
    assert caught.value.code == 0
    assert "vulcan-store" in shown.partition("Example: ")[2]
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("target", ["mistyped.db", "sqlite:///mistyped.db", "SQLite:///mistyped.db"])
@pytest.mark.parametrize("command", NEEDING)
def test_a_store_that_is_not_there_is_an_error_and_stays_so(tmp_path, capsys, monkeypatch, command, target):
    monkeypatch.chdir(tmp_path)

    assert main([command, *NEEDED.get(command, []), "--db", target]) == 1

    shown = capsys.readouterr()
    assert (shown.out, os.listdir(tmp_path)) == ("", [])
    reason = "there is no such file; create, import and restore make one, --db names another"
    assert shown.err == f"vulcan-store: store {target!r}: {reason}\n"


@pytest.mark.parametrize("command", [
    "list", "get a", "logs a", "stats", "export", "purge --finished-before 0s --dry-run",
])
def test_a_command_that_reads_changes_nothing_about_a_file_without_our_indexes(tmp_path, capsys, command):
    path = str(tmp_path / "vulcan.db")
    server_file.build(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE workloads SET id = 'a' WHERE id = 's1'")
        connection.commit()
    before = Path(path).read_bytes()

    assert main(["--db", path, *command.split()]) == 0

    assert Path(path).read_bytes() == before
    assert os.listdir(tmp_path) == ["vulcan.db"]


def test_the_target_may_come_from_the_environment(filled, capsys, monkeypatch):
    monkeypatch.setenv("VULCAN_DB_PATH", filled)

    assert main(["get", "a"]) == 0


@pytest.mark.parametrize("line, complaint", [
    ("get nobody", "there is no workload 'nobody'"),
    ("update a --status running", "workload 'a' is failed, which is final; it cannot become running"),
    ("create --runtime go --id a", "workload 'a' exists already"),
    ("create --runtime go --mem-limit -1", "mem_limit is -1; it must be an int from 0 to 2**63-1 or None"),
    ("update c --output missing/result", "missing/result: No such file or directory"),
])
def test_an_error_is_one_line_and_changes_nothing(filled, line, complaint):
    before = rows(filled, "SELECT * FROM workloads")

    ended = vulcan("--db", filled, *line.split())

    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"vulcan-store: {complaint}\n")
    assert rows(filled, "SELECT * FROM workloads") == before


def test_a_file_that_is_no_store_is_an_error_of_one_line(path):
    with open(path, "w") as file:
        file.write("no database\n" * 100)

    ended = vulcan("--db", path, "list")

    assert (ended.returncode, ended.stderr) == (1, f"vulcan-store: store {path!r}: it is not a SQLite database\n")


@pytest.mark.parametrize("text, expected", [
    ("2026-02-18", datetime(2026, 2, 18, tzinfo=UTC)),
    ("2026-02-18T11:12:42Z", datetime(2026, 2, 18, 11, 12, 42, tzinfo=UTC)),
    ("2026-02-18 11:12:42.5+02:00", datetime(2026, 2, 18, 9, 12, 42, 500_000, tzinfo=UTC)),
])
def test_a_time_without_a_zone_is_in_utc(text, expected):
    assert time_of(text) == expected


@pytest.mark.parametrize("text, ago", [
    ("30s", timedelta(seconds=30)), ("15m", timedelta(minutes=15)), ("12h", timedelta(hours=12)),
    ("30d", timedelta(days=30)), ("4w", timedelta(weeks=4)),
])
def test_a_time_may_say_how_long_ago_it_was(text, ago):
    moment = datetime.now(UTC)

    assert timedelta(0) <= time_of(text) - (moment - ago) < timedelta(seconds=10)
