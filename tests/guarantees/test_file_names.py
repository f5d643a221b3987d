"""A file has one name: two of them, or one mounted by itself, are refused before two -wal files lose writes."""

import os
import subprocess
import sys

import pytest

from vulcan_store import StoreUnavailableError, create_workload, list_workloads, open_store
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


OPEN = "import sys; from vulcan_store import open_store; open_store(sys.argv[1])"


def test_a_file_that_is_mounted_by_itself_is_refused(path, tmp_path):
    open_store(path).close()
    mounted = tmp_path / "a place" / "vulcan.db"
    mounted.parent.mkdir()
    mounted.touch()
    script = 'mount --bind "$1" "$2" || exit 77; exec "$3" -c "$4" "$2"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", path, mounted, sys.executable, OPEN]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if run.returncode == 77 or "unshare" in run.stderr:
        pytest.skip("this user may not mount")

    assert "mounted by itself" in run.stderr and "mount its folder instead" in run.stderr
