"""Opening that fails: why it does, in words, and that nothing has changed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from vulcan_store import SchemaMismatchError, StoreError, StoreUnavailableError, get_workload, open_store
from vulcan_store.testing import make_workload


def contents(folder):
    return {entry.name: entry.read_bytes() if entry.is_file() else None for entry in Path(folder).iterdir()}


def no_database(folder):
    (folder / "text.db").write_text("This is no database, but a text that is longer than a header is. " * 20)
    return folder / "text.db"


def damaged(folder):
    connection = sqlite3.connect(folder / "damaged.db")
    connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
    connection.close()
    whole = (folder / "damaged.db").read_bytes()
    (folder / "damaged.db").write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    return folder / "damaged.db"


def a_folder(folder):
    (folder / "folder.db").mkdir()
    return folder / "folder.db"


def missing_folder(folder):
    return folder / "missing" / "vulcan.db"


REASONS = {
    "not a SQLite database": no_database,
    "damaged": damaged,
    "it is a folder": a_folder,
    "does not exist": missing_folder,
}


@pytest.mark.parametrize("words, make", REASONS.items(), ids=REASONS)
def test_the_reason_is_said_and_nothing_changed(tmp_path, words, make):
    target = make(tmp_path)
    before = contents(tmp_path)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(target)

    assert refusal.value.target == str(target)
    assert words in refusal.value.reason
    assert str(target) in str(refusal.value)
    assert isinstance(refusal.value.__cause__, sqlite3.Error)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("words, make", REASONS.items(), ids=REASONS)
def test_the_current_store_stays_current(store, tmp_path, words, make):
    make_workload(id="a")

    with pytest.raises(StoreUnavailableError):
        open_store(make(tmp_path))

    assert get_workload("a").id == "a"


@pytest.mark.parametrize("target", ["", "\0", "a\0b", "sqlite:///", "sqlite://host/a.db"])
def test_a_target_that_names_no_file_is_refused(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(target)

    assert refusal.value.target == target
    assert list(tmp_path.iterdir()) == []


def test_a_url_of_an_unknown_engine_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store("nosuch://host/vulcan")

    assert "nosuch" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("target", "shown"), [
    ("nosuch://user:s3cret@host/vulcan", "nosuch://user@host/vulcan"),
    ("nosuch://user:s3c@ret@host:1/vulcan", "nosuch://..."),
    ("nosuch://user@[::1]:1/vulcan?password=s3cret&sslmode=require", "nosuch://user@[::1]:1/vulcan?sslmode=require"),
    ("nosuch:///vulcan?host=/run&user=u&sslpassword=s3cret", "nosuch:///vulcan?host=/run&user=u"),
    ("nosuch://user:1/s3cret@host/vulcan", "nosuch://..."),
    ("nosuch://user:1?s3cret@host/vulcan", "nosuch://..."),
    ("nosuch://user:1#s3cret@host/vulcan", "nosuch://..."),
    ("nosuch://user:s3cret", "nosuch://..."),
])
def test_no_error_shows_a_password(target, shown):
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(target)

    assert refusal.value.target == shown
    assert f"{shown!r}: there is no engine" in str(refusal.value)
    assert "s3c" not in f"{refusal.value} {refusal.value!r} {refusal.value.__cause__!r}"


def test_a_file_of_another_program_is_left_as_it_was(path):
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE workloads (id TEXT PRIMARY KEY); INSERT INTO workloads VALUES ('theirs');")
    connection.close()
    before = contents(Path(path).parent)

    with pytest.raises(SchemaMismatchError):
        open_store(path)

    assert contents(Path(path).parent) == before


def test_the_log_is_checked_for_its_columns_too(path):
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE log_lines (id INTEGER PRIMARY KEY, workload_id TEXT, seq INTEGER);")
    connection.close()

    with pytest.raises(SchemaMismatchError) as refusal:
        open_store(path)

    assert (refusal.value.table, refusal.value.missing) == ("log_lines", ("line", "created_at"))


@pytest.mark.parametrize("target", [":memory:", "vulcan.db"])
def test_an_unknown_pragma_is_refused(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(target, pragmas={"syncronous": "normal"})

    assert "'syncronous'" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pragmas", [
    {"journal_mode": "bogus"}, {"synchronous": "banana"}, {"busy_timeout": "soon"}, {"busy_timeout": None},
    {"busy_timeout": True}, {"busy_timeout": 2**31}, {"busy_timeout": -1}, {"cache_size": "1; DROP TABLE x"},
], ids=str)
def test_a_pragma_value_that_cannot_be_is_refused_and_leaves_no_file(path, pragmas):
    with pytest.raises(StoreError) as refusal:
        open_store(path, pragmas=pragmas)

    assert path in str(refusal.value)
    assert contents(Path(path).parent) == {}


def test_a_file_that_may_not_be_read_is_refused(path):
    open_store(path).close()
    os.chmod(path, 0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(path)

    assert "may not" in refusal.value.reason


@pytest.mark.parametrize("version, target, needed", [
    ((3, 34, 1), "vulcan.db", "3.35"), ((3, 34, 1), ":memory:", "3.3"), ((3, 35, 5), ":memory:", "3.36"),
])
def test_a_sqlite_that_is_too_old_is_refused(tmp_path, monkeypatch, version, target, needed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(target)

    assert needed in refusal.value.reason
    assert list(tmp_path.iterdir()) == []
