"""Copying a store while others write: the copy is whole, of one moment, and overwrites nothing."""

import os
import sqlite3
from contextlib import closing

import pytest
from guarantees.processes import in_threads
from workloads import everything

from vulcan_store import (
    StoreUnavailableError,
    Workload,
    append_log_lines,
    backup_store,
    create_workload,
    create_workloads,
    list_workloads,
    open_store,
)
from vulcan_store.testing import make_workload


def finished(count, **fields):
    create_workloads({"id": f"w{place:03}", "runtime": "go", "status": "failed", **fields} for place in range(count))


@pytest.mark.parametrize("shared_store", ["memory", "file"], indirect=True)
def test_a_backup_opens_as_an_equal_store(store, tmp_path):
    finished(30, output=b"\x00\xff", exit_code=-1)
    append_log_lines("w007", ["a", "ü"])
    store.database.execute_sql("UPDATE workloads SET status = 'paused', isolation = '' WHERE id = 'w003'")

    backup_store(tmp_path / "copy.db")

    original = everything()
    with open_store(str(tmp_path / "copy.db")):
        assert everything() == original
        create_workload(id="more", runtime="go")
    assert everything() == original


def test_a_backup_is_of_one_moment_while_others_write(path, tmp_path):
    def copy_or_write(together, place):
        together.wait()
        if place:
            return backup_store(tmp_path / "copy.db")
        for number in range(20):
            Workload.update(exit_code=number).execute()

    with open_store(path):
        finished(60, output=bytes(250_000))
        in_threads(2, copy_or_write)

    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert len(copy.execute("SELECT DISTINCT exit_code FROM workloads").fetchall()) == 1


@pytest.mark.parametrize("shared_store", ["memory", "file"], indirect=True)
@pytest.mark.parametrize("content", [b"", b"precious"], ids=repr)
def test_a_backup_overwrites_nothing(store, tmp_path, content):
    make_workload()
    (tmp_path / "copy.db").write_bytes(content)

    with pytest.raises(StoreUnavailableError) as refusal:
        backup_store(str(tmp_path / "copy.db"))

    assert refusal.value.target == str(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == content


@pytest.mark.parametrize("shared_store", ["memory", "file"], indirect=True)
def test_nothing_is_left_of_a_backup_that_failed(store, tmp_path, monkeypatch):
    finished(5)
    before = set(os.listdir(tmp_path))

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(os, "fsync", lambda descriptor: 1 / 0)
        backup_store(tmp_path / "copy.db")
    with pytest.raises(StoreUnavailableError):
        backup_store(tmp_path / "missing" / "copy.db")

    assert set(os.listdir(tmp_path)) == before
    assert list_workloads(0).total == 5
