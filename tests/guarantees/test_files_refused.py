"""Folders that are taken for files, and files and folders that this user may not read, write or enter."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from guarantees.processes import forked
from guarantees.test_locked import another_process_holds_the_lock
from vulcan_store import (
    StoreUnavailableError,
    backup_store,
    create_workload,
    create_workloads,
    list_workloads,
    open_store,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

NOBODY = 65534


@pytest.fixture
def folder():
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)
        os.chmod(name, 0o777)


@pytest.fixture(params=["wal", "delete"])
def stored(request, folder):
    """A closed store with one workload, in either journal mode."""
    return a_store(folder / "vulcan.db", request.param)


def a_store(path, journal_mode="wal"):
    with open_store(path, pragmas={"journal_mode": journal_mode}):
        create_workloads([{"runtime": "go", "id": "theirs"}])
    return str(path)


def contents(folder):
    return {entry.name: entry.read_bytes() if entry.is_file() else None for entry in Path(folder).iterdir()}


def unprivileged(work, *arguments):
    """Call a function in a process of a user who has no rights but those that the modes give."""

    def call():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        try:
            return work(*arguments)
        except StoreUnavailableError as error:
            return error.target, error.reason, getattr(error.__cause__, "sqlite_errorname", None)

    return forked(call)()


def read(path):
    with open_store(path, read_only=True):
        return [workload.id for workload in list_workloads().items]


def write(path):
    with open_store(path):
        return create_workload(runtime="go").id


@pytest.mark.parametrize("work", [read, write])
@pytest.mark.parametrize("mode", [0o000, 0o222])
def test_a_file_that_may_not_be_read_is_refused_and_left_alone(stored, folder, work, mode):
    before = contents(folder)
    os.chmod(stored, mode)

    target, reason, code = unprivileged(work, stored)

    assert (target, code) == (stored, "SQLITE_CANTOPEN")
    assert "may not" in reason
    assert contents(folder) == before


def test_a_write_to_a_file_in_a_folder_that_may_not_be_written_is_refused(stored, folder):
    before = contents(folder)
    os.chmod(stored, 0o666)
    os.chmod(folder, 0o555)

    target, reason, code = unprivileged(write, stored)

    assert (target, code) == (stored, "SQLITE_READONLY_DIRECTORY")
    assert "folder" in reason
    assert contents(folder) == before


def test_reading_a_wal_file_in_a_folder_that_may_not_be_written_says_why_and_each_help_helps(folder, path):
    stored = a_store(folder / "vulcan.db")
    before = contents(folder)
    os.chmod(stored, 0o666)
    os.chmod(folder, 0o555)

    target, reason, code = unprivileged(read, stored)
    untouched = contents(folder)
    with another_process_holds_the_lock(stored, "BEGIN IMMEDIATE", "write"):
        beside_another = unprivileged(read, stored)
    with open_store(stored):
        backup_store(path)
    os.chmod(folder, 0o777)
    allowed = unprivileged(read, stored)

    assert (target, code) == (stored, "SQLITE_READONLY_DIRECTORY")
    assert all(word in reason for word in ("WAL", "folder", "while", "copy"))
    assert untouched == before
    assert beside_another == read(path) == allowed == ["theirs"]


def test_reading_a_file_without_wal_needs_no_right_to_write_anything(folder):
    stored = a_store(folder / "vulcan.db", "delete")
    before = contents(folder)
    os.chmod(stored, 0o444)
    os.chmod(folder, 0o555)

    found = unprivileged(read, stored)

    assert found == ["theirs"]
    assert contents(folder) == before


@pytest.mark.parametrize("work", [read, write])
def test_a_folder_that_may_not_be_entered_is_refused(stored, folder, work):
    before = contents(folder)
    os.chmod(folder, 0)

    target, reason, code = unprivileged(work, stored)

    os.chmod(folder, 0o777)
    assert (target, code) == (stored, "SQLITE_CANTOPEN")
    assert "may not" in reason
    assert contents(folder) == before


def test_opening_a_folder_to_read_says_that_it_is_one(path, tmp_path):
    os.mkdir(path)

    with pytest.raises(StoreUnavailableError) as caught:
        open_store(path, read_only=True)

    assert caught.value.target == path
    assert "it is a folder" in caught.value.reason
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert contents(tmp_path) == {"vulcan.db": None}
