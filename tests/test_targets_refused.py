"""What is not the path of a file is refused with what to write instead, and a failure names its true cause."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys

import pytest

from vulcan_store import StoreUnavailableError, create_workload, list_workloads, open_store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("target, instead", [
    ("sqlite:///v.db?timeout=30", "busy_timeout"),
    ("sqlite:///v.db?mode=ro", "sqlite:///v.db, and give open_store(read_only=True)"),
    ("SQLite:///v.db?mode=ro", "read_only=True"),
    ("sqlite:v.db", "write v.db"),
    ("sqlite:/v.db", "write /v.db"),
    ("file:v.db?mode=ro", "write v.db, and read_only=True in place of ?mode=ro"),
    ("file::memory:?cache=shared", 'write ":memory:"'),
    ("FILE:v.db", "write v.db"),
    ("v.db/", "the name of a file in it"),
    ("./", "the name of a file in it"),
    ("..", "the name of a file in it"),
    ("v.db/.", "the name of a file in it"),
])
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_not_a_path_is_refused_with_what_to_write_instead(folder, target, instead, read_only):
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(target, read_only=read_only)

    assert refusal.value.target == target
    assert instead in refusal.value.reason
    assert list(folder.iterdir()) == []


def test_a_file_of_such_a_name_is_opened_by_a_path_that_begins_with_its_folder(folder):
    with open_store("./file:v.db?mode=ro"):
        create_workload(runtime="go")

    assert [entry.name for entry in folder.iterdir()] == ["file:v.db?mode=ro"]


def test_a_tilde_is_said_not_to_be_expanded(folder):
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store("~/v.db")

    assert "~ is not expanded" in refusal.value.reason


@pytest.mark.parametrize("length, opens", [(247, True), (248, False), (255, False), (300, False)])
def test_a_name_is_as_long_as_leaves_room_for_the_journals(folder, length, opens):
    name = "a" * length

    if opens:
        with open_store(name):
            create_workload(runtime="go")
        assert [entry.name for entry in folder.iterdir()] == [name]
        return
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(name)

    assert f"its name has {length} bytes and is too long: 247 are the most" in refusal.value.reason
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("length, opens", [(504, True), (505, False), (567, False)])
def test_a_path_is_as_long_as_sqlite_takes(folder, length, opens):
    parent = str(folder)
    while len(parent) < length - 120:
        parent += "/" + "d" * 100
    os.makedirs(parent)
    path = f"{parent}/{'v' * (length - len(parent) - 1)}"

    if opens:
        with open_store(path):
            create_workload(runtime="go")
        return
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(path)

    assert f"its path has {length} bytes and is too long: 504 are the most" in refusal.value.reason
    assert os.listdir(parent) == []


def test_running_out_of_descriptors_is_said_to_be_that(path):
    open_store(path).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        with pytest.raises(StoreUnavailableError) as refusal:
            open_store(path)
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert "no file descriptor left" in refusal.value.reason
    assert isinstance(refusal.value.__cause__, sqlite3.OperationalError)
    with open_store(path):
        create_workload(runtime="go")


def test_reading_through_a_link_leaves_a_dead_writers_wal(tmp_path):
    path, link = str(tmp_path / "real.db"), tmp_path / "links" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    source = (
        "import os, sys; from vulcan_store import *; open_store(sys.argv[1]); create_workload(id='last', runtime='go');"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", source, path], check=True)
    before = {entry: entry.read_bytes() for entry in tmp_path.iterdir() if entry.suffix in (".db", ".db-wal")}
    assert os.path.getsize(path + "-wal") > 0

    with open_store(link, read_only=True):
        found = [workload.id for workload in list_workloads().items]

    assert found == ["last"]
    assert {entry: entry.read_bytes() for entry in before} == before
    assert os.path.exists(path + "-wal")
