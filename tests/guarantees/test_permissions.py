"""What an unprivileged user may not do, tried as one."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import peewee
import pytest

import vulcan_store
from guarantees.processes import run
from vulcan_store import create_workload, open_store

NOBODY = 65534

AS_NOBODY = """
import os, sys
sys.path[:0] = sys.argv[2].split(os.pathsep)
import sqlite3, vulcan_store
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
from vulcan_store import *
path = sys.argv[1]
def attempt(work):
    try:
        print(work())
    except StoreUnavailableError as error:
        assert error.target == path, error.target
        assert isinstance(error.__cause__, sqlite3.Error), error.__cause__
        print("refused:", error.reason.replace("\\n", " "))
def read():
    with open_store(path, read_only=True):
        return [workload.id for workload in list_workloads().items]
def write():
    with open_store(path):
        return create_workload(runtime="go", id="by nobody").id
attempt(read)
attempt(write)
"""


@pytest.fixture
def folder():
    """A folder that every user may reach."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def as_nobody(path):
    """What reading and then writing say to a user who is not root."""
    places = {Path(module.__file__).parents[depth] for module, depth in ((vulcan_store, 1), (peewee, 0))}
    done = run(AS_NOBODY, path, os.pathsep.join(map(str, places)), cwd="/")
    return done.stdout.splitlines()


def fill(path):
    with open_store(path):
        create_workload(runtime="go", id="there")
    path.chmod(0o644)


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


@pytest.fixture(autouse=True)
def another_user_is_possible(folder):
    if os.getuid() and sys.platform == "win32":
        pytest.skip("permissions of this kind are not known here")
    probe = run("import os, sys; os.getuid() or os.setuid(65534); os.listdir(sys.argv[1])",
                sysconfig.get_paths()["stdlib"], check=False)
    if probe.returncode:
        pytest.skip("an unprivileged user cannot reach this interpreter")


def test_a_file_that_may_not_be_read_is_refused_and_left_as_it_is(folder):
    path = folder / "secret.db"
    fill(path)
    path.chmod(0o000)
    before = contents(folder) if os.getuid() == 0 else None

    reading, writing = as_nobody(path)

    assert reading.startswith("refused: this user may not read")
    assert writing.startswith("refused: this user may not read and write")
    path.chmod(0o644)
    assert before is None or contents(folder) == before


def test_a_file_that_may_be_read_only_is_not_written(folder):
    path = folder / "readable.db"
    fill(path)
    path.chmod(0o444)
    folder.chmod(0o777)
    before = path.read_bytes()

    reading, writing = as_nobody(path)

    assert reading == "['there']"
    assert writing.startswith("refused: this user may not read and write")
    assert path.read_bytes() == before


def test_a_file_in_a_folder_that_may_not_be_written_is_refused_with_what_would_help(folder):
    path = folder / "vulcan.db"
    fill(path)
    folder.chmod(0o555)
    before = contents(folder)

    reading, writing = as_nobody(path)

    assert reading.startswith("refused: it is in WAL mode and its folder may not be written")
    assert "copy" in reading
    assert writing.startswith("refused: this user may not read and write the file and its folder")
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
    assert writing.startswith("refused: this user may not read and write the file and its folder")
    assert contents(folder) == {}
