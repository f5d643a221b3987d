"""What an unprivileged user may not do, tried as one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from guarantees.processes import in_processes
from vulcan_store import StoreUnavailableError, backup_store, create_workload, list_workloads, open_store


def read_and_write_as_nobody(barrier, place, path):
    """What reading and then writing say to a user who is not root."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    return [attempt(read, path), attempt(write, path)]


def attempt(work, path):
    try:
        return str(work(path))
    except StoreUnavailableError as error:
        assert error.target == path, error.target
        assert isinstance(error.__cause__, sqlite3.Error), error.__cause__
        return f"refused: {error.reason}".replace("\n", " ")


def read(path):
    with open_store(path, read_only=True):
        return [workload.id for workload in list_workloads().items]


def write(path):
    with open_store(path):
        return create_workload(runtime="go", id="by nobody").id


@pytest.fixture
def folder():
    """A folder that every user may reach."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def as_nobody(path):
    (answers,) = in_processes(1, read_and_write_as_nobody, str(path))
    return answers


def fill(path):
    with open_store(path):
        create_workload(runtime="go", id="there")
    path.chmod(0o644)


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def test_a_file_that_may_not_be_read_is_refused_and_left_as_it_is(folder):
    path = folder / "secret.db"
    fill(path)
    before = contents(folder)
    path.chmod(0o000)

    reading, writing = as_nobody(path)

    assert reading.startswith("refused: this user may not read")
    assert writing.startswith("refused: this user may not read the file")
    path.chmod(0o644)
    assert contents(folder) == before


def test_a_file_that_may_be_read_only_is_not_written(folder):
    path = folder / "readable.db"
    fill(path)
    path.chmod(0o444)
    folder.chmod(0o777)
    before = path.read_bytes()

    reading, writing = as_nobody(path)

    assert reading == "['there']"
    assert writing.startswith("refused: this user may not write the file")
    assert path.read_bytes() == before


def test_a_file_in_a_folder_that_may_not_be_written_is_refused_with_what_would_help(folder):
    path = folder / "vulcan.db"
    fill(path)
    folder.chmod(0o555)
    before = contents(folder)

    reading, writing = as_nobody(path)

    assert reading.startswith("refused: it is in WAL mode and its folder may not be written")
    assert "copy" in reading
    assert writing.startswith("refused: this user may not write the file")
    assert contents(folder) == before


def test_a_file_in_a_folder_that_may_not_be_written_is_read_while_somebody_has_it_open(folder):
    path = folder / "vulcan.db"
    fill(path)
    folder.chmod(0o555)

    with open_store(path):
        create_workload(runtime="go", id="and open")
        for extra in folder.iterdir():
            extra.chmod(0o644)
        reading, _ = as_nobody(path)

    assert reading == "['and open', 'there']"


def test_a_new_file_in_a_folder_that_may_not_be_written_is_refused(folder):
    folder.chmod(0o555)

    reading, writing = as_nobody(folder / "new.db")

    assert reading == "refused: there is no such file, and read_only=True creates none (unable to open database file)"
    assert writing.startswith(f"refused: this user may not create files in the folder {str(folder)!r}")
    assert contents(folder) == {}


def back_up_as_nobody(barrier, place, path, copy):
    read_and_write_as_nobody(barrier, place, path)
    with open_store(path, read_only=True):
        backup_store(copy)


def test_a_file_that_may_be_read_only_can_be_backed_up(folder):
    path = folder / "readable.db"
    fill(path)
    path.chmod(0o444)
    folder.chmod(0o777)

    in_processes(1, back_up_as_nobody, str(path), str(folder / "copy.db"))

    assert read(folder / "copy.db") == ["there"]
