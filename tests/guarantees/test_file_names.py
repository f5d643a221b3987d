"""A file has one name: two of them, or one mounted by itself, are refused before two -wal files lose writes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vulcan_store import StoreUnavailableError, create_workload, list_workloads, open_store
from vulcan_store.engines.sqlite import paths
from vulcan_store.testing import make_workload


def test_a_file_with_a_hard_link_is_refused_by_both_names_until_one_is_left(path, tmp_path):
    with open_store(path):
        make_workload(id="a")
    other = tmp_path / "other.db"
    os.link(path, other)

    for name in (path, other):
        with pytest.raises(StoreUnavailableError, match="2 names .hard links.*leave one name"):
            open_store(name)
        with open_store(name, read_only=True):
            assert list_workloads().total == 1

    other.unlink()
    with open_store(path):
        create_workload(id="b", runtime="go")
        assert list_workloads().total == 2


def test_a_symbolic_link_is_no_second_name(path, tmp_path):
    (tmp_path / "link.db").symlink_to(path)
    with open_store(path), open_store(tmp_path / "link.db"):
        make_workload()


OPEN = """
import sys
from vulcan_store import StoreUnavailableError, open_store
try:
    open_store(sys.argv[1])
except StoreUnavailableError as error:
    print(error)
"""


def test_a_file_that_is_mounted_by_itself_is_refused(path, tmp_path):
    with open_store(path):
        make_workload()
    mounted = tmp_path / "a place" / "vulcan.db"
    mounted.parent.mkdir()
    mounted.touch()
    script = 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$2"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", path, mounted, sys.executable, OPEN]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if run.returncode:
        pytest.skip("this user may not mount")

    assert "mounted by itself" in run.stdout and "mount its folder instead" in run.stdout


def test_mount_points_are_read_with_their_blanks(monkeypatch, path):
    with open_store(path):
        pass
    monkeypatch.setattr(paths, "_mount_points", lambda: {os.path.realpath(path)})

    with pytest.raises(StoreUnavailableError, match="mounted by itself"):
        open_store(path)


@pytest.mark.parametrize("name, hint", [
    (":memory", "write \":memory:\""), (":x.db", "./:x.db"), ("vulcan.db ", "write 'vulcan.db'"),
    ("vulcan.db\n", "white space"),
])
def test_a_name_that_was_meant_otherwise_is_refused_and_no_file_made(tmp_path, monkeypatch, name, hint):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(name)

    assert hint in str(refusal.value)
    assert os.listdir(tmp_path) == []


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for name in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(StoreUnavailableError, match='no regular file.*write a path, or ":memory:"'):
            open_store(name)


@pytest.mark.parametrize("options", ["_txlock=immediate", "_txlock=immediate&_pragma=busy_timeout(5000)"])
def test_the_options_of_the_servers_driver_are_not_part_of_the_path(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VULCAN_DB_PATH", f"vulcan.db?{options}")

    with open_store():
        make_workload()
        assert "vulcan.db" in os.listdir(tmp_path)

    assert os.listdir(tmp_path) == ["vulcan.db"]


def test_a_question_mark_that_begins_no_options_is_part_of_the_name(tmp_path):
    with open_store(tmp_path / "what?.db"):
        make_workload()

    assert os.listdir(tmp_path) == ["what?.db"]


@pytest.mark.parametrize("pragma", [{"locking_mode": "exclusive"}, {"QUERY_ONLY": 1}, [("query_only", 0)]])
def test_a_pragma_that_takes_away_what_a_store_is_for_is_refused(path, pragma):
    with pytest.raises(StoreUnavailableError, match="leave it out"):
        open_store(path, pragmas=pragma)

    assert not os.path.exists(path)
