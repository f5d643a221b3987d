"""Copying a store while others write: the copy is whole, of one moment, and overwrites nothing."""

import os
import sqlite3
from contextlib import closing

import pytest
from workloads import everything

from vulcan_store import (
    StoreUnavailableError,
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


def test_a_backup_is_of_one_moment_and_ends_however_often_others_write(path, tmp_path):
    told = []

    def write_elsewhere(status, left, pages):
        told.append((pages - left, pages))
        if len(told) > 20:
            pytest.fail(f"the backup starts anew at every write: {told}")
        with other:
            other.execute("UPDATE workloads SET exit_code = ?", (len(told),))

    with open_store(path) as store, closing(sqlite3.connect(path)) as other:
        finished(60, output=bytes(250_000), exit_code=0)
        store.database.backup(str(tmp_path / "copy.db"), write_elsewhere)

    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
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
def test_nothing_is_left_of_a_backup_that_failed(store, tmp_path):
    finished(5)
    before = set(os.listdir(tmp_path))

    with pytest.raises(ZeroDivisionError):
        store.database.backup(str(tmp_path / "copy.db"), lambda *told: 1 / 0)
    with pytest.raises(StoreUnavailableError):
        backup_store(tmp_path / "missing" / "copy.db")

    assert set(os.listdir(tmp_path)) == before
    assert list_workloads(0).total == 5
