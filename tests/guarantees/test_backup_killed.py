"""A backup has its name only once it is whole, whenever its process is killed."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from guarantees.processes import in_processes, run
from vulcan_store import StoreUnavailableError, backup_store, create_workloads, open_store
from vulcan_store.engines.sqlite import backup

BACK_UP = """
import os, signal, sys
from vulcan_store import open_store
steps = int(sys.argv[3])
def progress(*told):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)
with open_store(sys.argv[1]) as store:
    store.database.backup(sys.argv[2], progress)
"""


def test_a_backup_that_was_killed_leaves_no_file_of_its_name_and_is_not_in_the_way(path, tmp_path, effort):
    with open_store(path):
        create_workloads({"runtime": "go", "output": bytes(1_000_000)} for _ in range(20))
    folder = tmp_path / "backups"
    folder.mkdir()
    copy = folder / "backup-1.db"

    for _ in range(effort(3, long=10)):
        command = [sys.executable, "-c", BACK_UP, path, str(copy), str(random.randrange(4))]
        assert subprocess.run(command).returncode == -signal.SIGKILL
        assert os.listdir(folder)
        assert list(folder.glob("*.db")) == []

    with open_store(path):
        backup_store(copy)
    assert os.listdir(folder) == ["backup-1.db"]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM workloads").fetchall() == [(20,)]


def test_a_backup_that_is_under_way_is_not_taken_for_one_that_died(path, tmp_path):
    def back_up_another(*told):
        if not os.path.exists(tmp_path / "second.db"):
            backup_store(tmp_path / "second.db")

    with open_store(path) as store:
        create_workloads({"runtime": "go", "output": bytes(1_000_000)} for _ in range(10))
        store.database.backup(str(tmp_path / "first.db"), back_up_another)

    for name in ("first.db", "second.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            assert connection.execute("SELECT COUNT(*) FROM workloads").fetchall() == [(10,)]
    assert sorted(Path(tmp_path).glob(".*")) == []


def test_of_two_backups_of_one_name_the_second_overwrites_nothing(path, tmp_path):
    refused = []

    def back_up_there_too(*told):
        if not os.path.exists(tmp_path / "copy.db"):
            backup_store(tmp_path / "copy.db")

    with open_store(path) as store:
        create_workloads({"runtime": "go", "output": bytes(1_000_000)} for _ in range(10))
        try:
            store.database.backup(str(tmp_path / "copy.db"), back_up_there_too)
        except StoreUnavailableError as error:
            refused.append(error.reason)

    assert refused == ["it exists already, and a backup overwrites nothing"]
    assert sorted(Path(tmp_path).glob(".*")) == []


def back_up_at_once(barrier, place, path, copy):
    with open_store(path):
        barrier.wait()
        try:
            backup_store(copy)
        except StoreUnavailableError as error:
            return error.reason
    return "done"


def test_of_processes_that_back_up_to_one_name_at_once_one_does(path, tmp_path):
    with open_store(path):
        create_workloads({"runtime": "go", "output": bytes(100_000)} for _ in range(10))
    folder = tmp_path / "backups"
    folder.mkdir()

    answers = in_processes(4, back_up_at_once, path, str(folder / "copy.db"))

    assert sorted(answers) == ["done"] + 3 * ["it exists already, and a backup overwrites nothing"]
    assert os.listdir(folder) == ["copy.db"]
    assert os.stat(folder / "copy.db").st_nlink == 1


@pytest.mark.parametrize("system", ["this one's", "without a rename that overwrites nothing"])
def test_a_file_that_took_the_name_meanwhile_is_not_overwritten(path, tmp_path, monkeypatch, system):
    if system != "this one's":
        monkeypatch.setattr(backup, "RENAME_NOREPLACE", 1 << 30)  # which no file system knows

    def take_the_name(*told):
        (tmp_path / "copy.db").write_bytes(b"precious")

    with open_store(path) as store:
        create_workloads([{"runtime": "go"}])
        with pytest.raises(StoreUnavailableError, match="overwrites nothing"):
            store.database.backup(str(tmp_path / "copy.db"), take_the_name)
        backup_store(tmp_path / "other.db")

    assert (tmp_path / "copy.db").read_bytes() == b"precious"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["copy.db", "other.db", "vulcan.db"]


def test_a_job_that_holds_a_lock_on_the_folder_can_back_up_into_it(path, tmp_path):
    open_store(path).close()
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        run("import sys; from vulcan_store import *\nwith open_store(sys.argv[1]): backup_store(sys.argv[2])",
            path, tmp_path / "copy.db")
    finally:
        os.close(folder)

    assert (tmp_path / "copy.db").exists()
