"""What an unprivileged user may not do, tried as one."""

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from files import contents

from guarantees.processes import in_processes
from vulcan_store import StoreUnavailableError, backup_store, create_workloads, list_workloads, open_store

NOBODY = 65534


@pytest.fixture
def folder():
    """A folder that every user may reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o777)
        yield Path(name)
        os.chmod(name, 0o777)


@pytest.fixture(params=["wal", "delete"])
def stored(request, folder):
    """A closed store with one workload, in either journal mode."""
    return fill(folder / "vulcan.db", request.param)


def fill(path, journal_mode="wal"):
    with open_store(path, pragmas={"journal_mode": journal_mode}):
        create_workloads([{"runtime": "go", "id": "there"}])
    path.chmod(0o666)
    return str(path)


def read(path, copy=None):
    with open_store(path, read_only=True):
        if copy:
            backup_store(copy)
        return [workload.id for workload in list_workloads().items]


def write(path):
    with open_store(path):
        return create_workloads([{"runtime": "go"}])


def as_nobody(work, *arguments):
    """What a function returns to a user who has no rights but those that the modes give, or why it is refused."""
    (answer,) = in_processes(1, attempt, work, *map(str, arguments))
    return answer


def attempt(barrier, place, work, path, *more):
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        return work(path, *more)
    except StoreUnavailableError as error:
        assert error.target == path, error.target
        assert isinstance(error.__cause__, sqlite3.Error), error.__cause__
        return f"refused: {error.reason}"


@pytest.mark.parametrize("work", [read, write])
@pytest.mark.parametrize("mode, folders_mode, why", [
    (0o000, 0o777, "this user may not read"), (0o222, 0o777, "this user may not read"),
    (0o666, 0o000, "Permission denied"),
], ids=["neither", "not read", "not entered"])
def test_a_file_that_may_not_be_read_is_refused_and_left_as_it_is(folder, work, mode, folders_mode, why):
    stored = fill(folder / "vulcan.db")
    before = contents(folder)
    os.chmod(stored, mode)
    folder.chmod(folders_mode)

    answer = as_nobody(work, stored)

    folder.chmod(0o777)
    assert answer.startswith("refused: ") and why in answer
    assert contents(folder) == before


def test_a_file_that_may_be_read_only_is_not_written_and_can_be_backed_up(folder):
    stored = fill(folder / "vulcan.db")
    os.chmod(stored, 0o444)
    before = contents(folder)

    assert as_nobody(write, stored).startswith("refused: this user may not write the file")
    assert as_nobody(read, stored) == ["there"]
    assert contents(folder)["vulcan.db"] == before["vulcan.db"]
    assert as_nobody(read, stored, folder / "copy.db") == read(folder / "copy.db") == ["there"]


def test_a_write_to_a_file_in_a_folder_that_may_not_be_written_is_refused(stored, folder):
    folder.chmod(0o555)
    before = contents(folder)

    answer = as_nobody(write, stored)

    assert answer.startswith("refused: ") and "folder" in answer
    assert contents(folder) == before


def test_reading_a_wal_file_in_a_folder_that_may_not_be_written_says_why_and_each_help_helps(folder, path):
    stored = fill(folder / "vulcan.db")
    folder.chmod(0o555)
    before = contents(folder)

    answer = as_nobody(read, stored)

    assert answer.startswith("refused: it is in WAL mode and its folder may not be written")
    assert all(word in answer for word in ("while", "copy"))
    assert contents(folder) == before
    with open_store(stored):
        create_workloads([{"runtime": "go", "id": "and open"}])
        for extra in folder.iterdir():
            extra.chmod(0o644)
        assert as_nobody(read, stored) == ["and open", "there"]
        backup_store(path)
    folder.chmod(0o777)
    assert as_nobody(read, stored) == read(path) == ["and open", "there"]


def test_reading_a_file_without_wal_needs_no_right_to_write_anything(folder):
    stored = fill(folder / "vulcan.db", "delete")
    os.chmod(stored, 0o444)
    folder.chmod(0o555)
    before = contents(folder)

    assert as_nobody(read, stored) == ["there"]
    assert contents(folder) == before


def test_a_new_file_in_a_folder_that_may_not_be_written_is_refused(folder):
    folder.chmod(0o555)

    reading, writing = as_nobody(read, folder / "new.db"), as_nobody(write, folder / "new.db")

    assert reading == "refused: there is no such file, and read_only=True creates none (unable to open database file)"
    assert writing.startswith(f"refused: this user may not create files in the folder {str(folder)!r}")
    assert contents(folder) == {}
