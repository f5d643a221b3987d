"""Files that are not what they should be, and paths that are unusual: the right error or right work, nothing spoilt."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from guarantees.processes import integrity, rows
from vulcan_store import (
    SchemaMismatchError,
    StoreError,
    StoreUnavailableError,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
)


@pytest.fixture
def filled(path):
    """A file with many workloads in it, closed."""
    with open_store(path, pragmas={"synchronous": "off"}) as store:
        with store.database.atomic():
            for number in range(300):
                create_workload(runtime="go", id=f"{number:03}", output=bytes(1000))
    return Path(path)


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in Path(folder).iterdir() if entry.is_file()}


def use_everything():
    for number in range(0, 300, 7):
        assert get_workload(f"{number:03}").output == bytes(1000)
        update_workload(f"{number:03}", output=b"changed", status="completed")
    assert list_workloads(1000).total == len(list_workloads(1000).items)


def refused(target, **options):
    with pytest.raises(StoreError) as caught:
        open_store(target, **options)
    assert caught.value.target == str(target)
    return caught.value


@pytest.mark.parametrize("text", [b"not a database\n" * 100, b"SQLite format 3\0" + bytes(84), bytes(8192)])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path, tmp_path, text):
    Path(path).write_bytes(text)

    error = refused(path)

    assert isinstance(error, StoreUnavailableError)
    assert isinstance(error.__cause__, sqlite3.DatabaseError)
    assert contents(tmp_path) == {"vulcan.db": text}


def test_an_empty_file_becomes_a_store(path, tmp_path):
    Path(path).touch()

    with open_store(path):
        create_workload(runtime="go", id="first")

    assert rows(path) == [("first", "pending")]
    assert os.listdir(tmp_path) == ["vulcan.db"]


def test_an_empty_file_is_refused_read_only_and_stays_empty(path, tmp_path):
    Path(path).touch()

    error = refused(path, read_only=True)

    assert "workloads" in error.reason
    assert contents(tmp_path) == {"vulcan.db": b""}


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.02])
def test_a_file_that_was_truncated_in_the_middle_is_said_to_be_damaged_and_not_made_worse(filled, share):
    damaged = filled.read_bytes()[: int(filled.stat().st_size * share)]
    filled.write_bytes(damaged)

    with pytest.raises(StoreUnavailableError, match="damaged") as caught:
        with open_store(filled):
            use_everything()

    assert caught.value.target == str(filled)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert filled.stat().st_size <= len(damaged) + 4096


def test_overwritten_pages_raise_the_documented_error_whichever_they_are(filled, tmp_path):
    whole = filled.read_bytes()
    outcomes = set()

    for first in range(0, len(whole), 7 * 4096):
        path = tmp_path / f"{first}.db"
        path.write_bytes(whole[:first] + b"\xa5" * 4096 + whole[first + 4096:])
        try:
            with open_store(path):
                use_everything()
                outcomes.add("not touched")
        except StoreError as error:
            outcomes.add(type(error))
            assert "damaged" in error.reason or "not a SQLite database" in error.reason

    assert StoreUnavailableError in outcomes
    assert outcomes <= {StoreUnavailableError, "not touched"}


def test_a_folder_is_refused(tmp_path):
    error = refused(tmp_path)

    assert "folder" in error.reason
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_missing_folder_is_refused_and_not_created(tmp_path, read_only):
    error = refused(tmp_path / "missing" / "vulcan.db", read_only=read_only)

    assert str(tmp_path / "missing") in error.reason
    assert os.listdir(tmp_path) == []


def test_a_table_of_the_name_that_belongs_to_something_else_is_refused_and_left_as_it_is(path, tmp_path):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE workloads (id TEXT, weight REAL); INSERT INTO workloads VALUES ('a', 1)")
    before = contents(tmp_path)

    error = refused(path)

    assert isinstance(error, SchemaMismatchError)
    assert error.table == "workloads"
    assert {"status", "runtime", "output"} <= set(error.missing) and "id" not in error.missing
    assert contents(tmp_path) == before


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


@pytest.mark.parametrize(
    "name",
    ["two words.db", "100%.db", "%41%2f.db", "why?.db", "a?mode=memory", "#1.db", "a&b=c;d.db", "Größe.db", "仕事 🚀.db",
     "'quoted' \"twice\".db", "back\\slash.db", "-wal", ".hidden", "file:name.db", "new\nline.db", "vulcan"],
)
def test_an_unusual_name_is_taken_as_it_is(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    target = folder / name

    with open_store(target):
        create_workload(runtime="go", id="here")
    with open_store(target, read_only=True):
        assert get_workload("here").id == "here"

    assert os.listdir(folder) == [name]
    assert rows(target) == [("here", "pending")]


def test_a_relative_path_stays_the_same_file_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_store("relative.db") as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.database.pool.retire()  # so that the next call opens a connection
        create_workload(runtime="go", id="here")

    assert rows(tmp_path / "relative.db") == [("here", "pending")]
    assert os.listdir(tmp_path / "elsewhere") == []


def replace(filled):
    shutil.copy(filled, filled.with_name("other.db"))
    os.replace(filled.with_name("other.db"), filled)


@pytest.mark.parametrize("act", [os.unlink, replace], ids=["deleted", "replaced"])
def test_a_file_that_was_deleted_or_replaced_while_open_takes_no_writes_that_would_be_lost(filled, act):
    store = open_store(filled)
    create_workload(runtime="go", id="while it was there")
    act(filled)

    for write in (
        lambda: create_workload(runtime="go", id="lost"),
        lambda: update_workload("000", status="completed"),
    ):
        with pytest.raises(StoreUnavailableError, match="deleted or replaced") as caught:
            write()
        assert caught.value.target == str(filled)
    store.close()

    with open_store(filled):
        create_workload(runtime="go", id="later")
        assert get_workload("later").id == "later"
        assert Workload.get_or_none(Workload.id == "lost") is None
    assert integrity(filled) == "ok"
