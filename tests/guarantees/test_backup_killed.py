"""A backup has its name only once it is whole, whenever its process is killed."""

import fcntl
import os
import signal
from unittest.mock import patch

import pytest

from guarantees.processes import exit_code, in_processes, rows
from vulcan_store import StoreUnavailableError, backup_store, create_workloads, open_store


def back_up_and_die(path, copy, moment):
    """A backup whose process is killed as it calls a function: before it copies, afterwards, and before the name."""
    with open_store(path), patch(moment, lambda *given: os.kill(os.getpid(), signal.SIGKILL)):
        backup_store(copy)


def test_a_backup_that_was_killed_leaves_no_file_of_its_name_and_is_not_in_the_way(path, tmp_path):
    with open_store(path):
        create_workloads({"runtime": "go", "output": bytes(1_000_000)} for _ in range(20))
    folder = tmp_path / "backups"
    folder.mkdir()
    copy = folder / "backup-1.db"

    for moment in ("shutil.copymode", "os.fsync", "os.link"):
        assert exit_code(back_up_and_die, path, str(copy), moment) == -signal.SIGKILL
        assert os.listdir(folder)
        assert list(folder.glob("*.db")) == []

    with open_store(path):
        backup_store(copy)
    assert os.listdir(folder) == ["backup-1.db"]
    assert len(rows(copy)) == 20


def test_a_backup_that_is_under_way_is_not_taken_for_one_that_died(path, tmp_path, monkeypatch):
    def back_up_another(*given):
        monkeypatch.undo()
        backup_store(tmp_path / "second.db")

    with open_store(path):
        create_workloads({"runtime": "go", "output": bytes(1_000_000)} for _ in range(10))
        monkeypatch.setattr(os, "fsync", back_up_another)
        backup_store(tmp_path / "first.db")

    assert len(rows(tmp_path / "first.db")) == len(rows(tmp_path / "second.db")) == 10
    assert list(tmp_path.glob(".*")) == []


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


def test_a_file_that_took_the_name_meanwhile_is_not_overwritten(path, tmp_path, monkeypatch):
    with open_store(path):
        create_workloads([{"runtime": "go"}])
        monkeypatch.setattr(os, "fsync", lambda descriptor: (tmp_path / "copy.db").write_bytes(b"precious"))
        with pytest.raises(StoreUnavailableError, match="overwrites nothing"):
            backup_store(tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "vulcan.db"]


def test_a_job_that_holds_a_lock_on_the_folder_can_back_up_into_it(path, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with open_store(path):
            backup_store(tmp_path / "copy.db")
    finally:
        os.close(folder)

    assert (tmp_path / "copy.db").exists()
