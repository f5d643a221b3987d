"""Files that are not what they should be, and paths that are unusual: the right error or right work, nothing spoilt."""

import itertools
import os
import random
import sqlite3
from pathlib import Path

import pytest
from cases import each
from files import contents, refused, run_sql

from guarantees.processes import rows
from vulcan_store import (
    SchemaMismatchError,
    StoreUnavailableError,
    Workload,
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
IDS = [f"{number:05d}" for number in range(100)]
READS = {
    "get": lambda: [get_workload(key).id for key in IDS] == IDS,
    "list": lambda: [workload.id for workload in list_workloads(1000).items] == IDS[::-1],
    "iterate": lambda: [workload.id for workload in iter_workloads()] == IDS[::-1],
    "count": lambda: workload_stats().total == len(IDS),
}
both_modes = each("read_only", [False, True])


@pytest.fixture
def whole(path):
    """The bytes of a closed store with the workloads of IDS in it."""
    with open_store(path):
        create_workloads({"runtime": "go", "id": key, "output": bytes(300), "error": "words " * 10} for key in IDS)
    return Path(path).read_bytes()


def assert_refused(path, words, read_only):
    before = contents(os.path.dirname(path))
    error = refused(path, words, read_only=read_only)
    assert isinstance(error.__cause__, sqlite3.DatabaseError)
    assert contents(os.path.dirname(path)) == before


@both_modes
@each("content", [b"milk\n", b"not a database\n" * 100, bytes(512), bytes(2 * PAGE)])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path, content, read_only):
    Path(path).write_bytes(content)

    assert_refused(path, "not a database", read_only)


@both_modes
@each("length", [100, 1000, PAGE, PAGE + 1, 9 * PAGE + 7, -PAGE])
def test_a_file_that_was_cut_off_is_called_damaged_and_left_alone(path, whole, length, read_only):
    Path(path).write_bytes(whole[:length])

    assert_refused(path, "damaged", read_only)


def missing_folder(path):
    return os.path.join(path, "vulcan.db")


@pytest.mark.parametrize("words, make", [
    ("a folder", os.mkdir),
    ("does not exist", missing_folder),
    ("symbolic links", lambda path: os.symlink(path, path)),
], ids=["folder", "missing", "loop"])
def test_a_place_where_no_file_can_be_is_refused(path, words, make):
    place = make(path) or path

    for read_only in (False, True):
        refused(place, words, read_only=read_only)


def test_an_empty_file_becomes_a_store(path, tmp_path):
    Path(path).touch()

    with open_store(path):
        create_workload(runtime="go", id="first")

    assert rows(path) == [("first", "pending")]
    assert os.listdir(tmp_path) == ["vulcan.db"]


def outcome(read):
    """True if it gave the right answer; else what was said to be wrong."""
    try:
        return read()
    except StoreUnavailableError as error:
        assert isinstance(error.__cause__, sqlite3.DatabaseError)
        return error.reason


def test_an_overwritten_page_is_called_damaged_by_who_needs_it_and_reading_changes_nothing(path, whole):
    outcomes = {name: set() for name in READS}
    junks = itertools.cycle([bytes(PAGE), random.Random(7).randbytes(PAGE)])

    for start, junk in zip(range(PAGE, len(whole), PAGE), junks):
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
    start = whole.index(IDS[50].encode() + b"pending") // PAGE * PAGE
    broken = whole[:start] + bytes(PAGE) + whole[start + PAGE:]
    Path(path).write_bytes(broken)

    with open_store(path), pytest.raises(StoreUnavailableError, match="damaged"):
        update_workload(IDS[50], error="other")

    assert contents(os.path.dirname(path)) == {os.path.basename(path): broken}


@pytest.mark.parametrize("sql, error, missing", [
    ("CREATE TABLE workloads (id TEXT PRIMARY KEY, status TEXT, theirs TEXT)", SchemaMismatchError, "runtime"),
    ("CREATE TABLE WORKLOADS (title TEXT)", SchemaMismatchError, "id"),
    ("CREATE VIEW workloads AS SELECT 1 AS id", SchemaMismatchError, "status"),
    ("CREATE TABLE log_lines (id INTEGER PRIMARY KEY, workload_id TEXT, seq INTEGER)", SchemaMismatchError, "line"),
    ("CREATE TABLE their_workloads (" + ", ".join(Workload._meta.fields) + "); "
     "CREATE VIEW workloads AS SELECT * FROM their_workloads", StoreUnavailableError, None),
], ids=["table", "capitals", "view", "log", "view with our columns"])
def test_tables_of_another_program_are_refused_with_what_they_lack_and_left_alone(path, sql, error, missing):
    run_sql(path, f"CREATE TABLE own (x); INSERT INTO own VALUES (1); {sql}")
    before = contents(os.path.dirname(path))

    for _ in range(2):
        with pytest.raises(error) as caught:
            open_store(path)

        assert caught.value.target == path
        if missing:
            assert caught.value.table in sql.lower() and missing in caught.value.missing
            assert "id" not in caught.value.missing or missing == "id"
        assert contents(os.path.dirname(path)) == before


def test_a_symbolic_link_leads_to_the_one_store_whichever_name_is_used(path, tmp_path):
    target = tmp_path / "there"
    target.mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(target / "real.db")

    with open_store(link):
        create_workload(runtime="go", id="by the link")
        with open_store(target / "real.db"):
            create_workload(runtime="go", id="by the name")
            assert list_workloads().total == 2
        assert list_workloads().total == 2

    assert link.is_symlink()
    assert os.listdir(target) == ["real.db"]
    assert [key for key, _ in rows(link)] == ["by the link", "by the name"]


@each("url", ["", "sqlite:///"])
@each("name", [
    "two words.db", "100%.db", "%41%2f.db", "#1.db", "a&b=c;d.db", "Größe.db", "仕事 🚀.db", "'quoted' \"twice\".db",
    "back\\slash.db", "-wal", ".hidden", "file:name.db", "new\nline.db", "vulcan", "why?.db", "a?mode=memory.db",
])
def test_an_unusual_name_is_taken_as_it_is(tmp_path, name, url):
    name = name.replace("?", "!") if url else name  # a URL would have options
    folder = tmp_path / f"{bool(url)}" / name
    folder.mkdir(parents=True)
    target = f"{url}{folder}/{name}"

    with open_store(target) as store:
        create_workload(runtime="go", id="here")
    with open_store(target, read_only=True):
        assert get_workload("here").id == "here"

    assert store.target == target
    assert os.listdir(folder) == [name]
    assert rows(folder / name) == [("here", "pending")]
