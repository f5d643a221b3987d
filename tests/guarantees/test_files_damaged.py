"""Damage of every kind, both modes of opening: what was found wrong is said, and not a byte changes."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from guarantees.processes import rows
from vulcan_store import (
    SchemaMismatchError,
    StoreUnavailableError,
    backup_store,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_workloads,
    open_store,
    update_workload,
    workload_stats,
)

PAGE = 4096
IDS = [f"{number:05d}" for number in range(200)]
ODD = "a b%20c?mode=memory#d é日本🦊'\"&;=+"
READS = {
    "get": lambda: [get_workload(key).id for key in IDS] == IDS,
    "list": lambda: [workload.id for workload in list_workloads(1000).items] == IDS[::-1],
    "iterate": lambda: [workload.id for workload in iter_workloads()] == IDS[::-1],
    "count": lambda: workload_stats().total == len(IDS),
}


@pytest.fixture
def whole(path):
    """The bytes of a closed store with the workloads of IDS in it."""
    with open_store(path):
        create_workloads({"runtime": "go", "id": key, "output": bytes(300), "error": "words " * 10} for key in IDS)
    return Path(path).read_bytes()


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in Path(folder).iterdir()}


def outcome(read):
    """True if it gave the right answer; else what was said to be wrong."""
    try:
        return read()
    except StoreUnavailableError as error:
        assert isinstance(error.__cause__, sqlite3.DatabaseError)
        return error.reason


def assert_refused(path, words, read_only):
    before = contents(os.path.dirname(path))
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(path, read_only=read_only)
    assert caught.value.target == path
    assert words in caught.value.reason
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert contents(os.path.dirname(path)) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"milk\n", b"milk, bread\n" * 1000, bytes(512), bytes(10_000)], ids=len)
def test_what_is_no_database_is_refused_and_left_alone(path, content, read_only):
    Path(path).write_bytes(content)

    assert_refused(path, "not a SQLite database", read_only)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("length", [100, 1000, PAGE, PAGE + 1, 20 * PAGE, 20 * PAGE + 7, -PAGE])
def test_a_file_that_was_cut_off_is_called_damaged_and_left_alone(path, whole, length, read_only):
    Path(path).write_bytes(whole[:length])

    assert_refused(path, "damaged", read_only)


@pytest.mark.parametrize("junk", [bytes(PAGE), b"\xff" * PAGE, random.Random(7).randbytes(PAGE)], ids=["0", "255", "?"])
def test_an_overwritten_page_is_called_damaged_by_who_needs_it_and_reading_changes_nothing(path, whole, junk):
    outcomes = {name: set() for name in READS}

    for start in range(PAGE, len(whole), PAGE):
        broken = whole[:start] + junk + whole[start + PAGE:]
        Path(path).write_bytes(broken)
        with open_store(path):
            for name, read in READS.items():
                outcomes[name].add(outcome(read))
        assert contents(os.path.dirname(path)) == {os.path.basename(path): broken}

    for found in outcomes.values():
        (problem,) = found - {True}
        assert "damaged" in problem and "malformed" in problem and "backup" in problem


def test_a_write_that_meets_an_overwritten_page_writes_nothing(path, whole):
    places = [whole.index(key.encode() + b"pending") for key in IDS]
    start = places[100] // PAGE * PAGE
    broken = whole[:start] + bytes(PAGE) + whole[start + PAGE:]
    Path(path).write_bytes(broken)

    with open_store(path):
        with pytest.raises(StoreUnavailableError) as caught:
            update_workload(IDS[100], error="other")

    assert "damaged" in caught.value.reason
    assert contents(os.path.dirname(path)) == {os.path.basename(path): broken}


@pytest.mark.parametrize(
    "sql, error",
    [
        ("CREATE TABLE workloads (id TEXT PRIMARY KEY, status TEXT, theirs TEXT)", SchemaMismatchError),
        ("CREATE TABLE WORKLOADS (title TEXT)", SchemaMismatchError),
        ("CREATE VIEW workloads AS SELECT 1 AS id", SchemaMismatchError),
        ("CREATE TABLE log_lines (line TEXT)", SchemaMismatchError),
        (
            "CREATE VIEW workloads AS SELECT '' AS id, '' AS status, '' AS isolation, '' AS runtime, '' AS node_id, "
            "'' AS input_hash, '' AS output, '' AS exit_code, '' AS error, '' AS cpu_limit, '' AS mem_limit, "
            "'' AS timeout_s, '' AS duration_ms, '' AS created_at, '' AS started_at, '' AS finished_at",
            StoreUnavailableError,
        ),
    ],
    ids=["table", "capitals", "view", "log", "view with our columns"],
)
def test_workloads_of_another_program_are_refused_and_left_alone(path, sql, error):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE own (x); INSERT INTO own VALUES (1); {sql}")
    before = contents(os.path.dirname(path))

    for _ in range(2):
        with pytest.raises(error) as caught:
            open_store(path)

        assert caught.value.target == path
        assert contents(os.path.dirname(path)) == before


@pytest.mark.parametrize("read_only", [False, True])
def test_a_symbolic_link_to_itself_is_refused(path, read_only):
    os.symlink(path, path)

    with pytest.raises(StoreUnavailableError) as caught:
        open_store(path, read_only=read_only)

    assert caught.value.target == path
    assert os.readlink(path) == path


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_folders_and_files_have_the_names_that_they_are_given(tmp_path, prefix):
    odd = ODD.replace("?", "!") if prefix else ODD  # a URL would have options
    folder = tmp_path / odd
    folder.mkdir()
    target = f"{prefix}{folder}/{odd}"

    with open_store(target) as store:
        create_workload(runtime="go", id="one")
        backup_store(folder / (odd + " copy"))
    with open_store(target, read_only=True):
        assert get_workload("one").id == "one"

    assert store.target == target
    assert os.listdir(tmp_path) == [odd]
    assert sorted(os.listdir(folder)) == [odd, odd + " copy"]
    assert rows(folder / (odd + " copy")) == rows(folder / odd) == [("one", "pending")]


def test_a_name_that_is_too_long_is_refused(path):
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(path + "x" * 300)

    assert caught.value.target == path + "x" * 300
    assert "too long" in caught.value.reason
    assert os.listdir(os.path.dirname(path)) == []
