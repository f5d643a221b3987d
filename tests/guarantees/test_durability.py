"""What ``synchronous=full`` promises, seen from outside the process."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from guarantees.processes import PATIENCE, WRITER, forked, in_threads
from vulcan_store import open_store

CALLS = "write,pwrite64,pwritev,fsync,fdatasync"


def traced(path, folder, count):
    """For each write that a writer acknowledged: how often the WAL reached the disk since the one before it, and
    whether something of it had not."""
    log = folder / "strace.txt"
    subprocess.run(
        ["strace", "-f", "-y", "-e", f"trace={CALLS}", "-o", log]
        + [sys.executable, WRITER, path, "traced", str(count)],
        stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE,
    )
    acknowledged, syncs, unsynced = [], 0, False
    for line in log.read_text().splitlines():
        call, target = re.match(r"\d+ +(\w+)\((\d+<[^>]*)?", line).groups() if "(" in line else ("", None)
        if target is None:
            continue
        if call == "write" and target.startswith("1<"):
            acknowledged.append((syncs, unsynced))
            syncs = 0
        elif target.endswith("-wal"):
            unsynced = "write" in call
            syncs += call in ("fsync", "fdatasync") and line.endswith("= 0")
    return acknowledged


@pytest.fixture
def traceable():
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")


def test_every_acknowledged_write_was_on_the_disk_before(path, tmp_path, traceable, effort):
    count = effort(3, long=40)

    acknowledged = traced(path, tmp_path, count)

    assert len(acknowledged) == 3 * count
    assert [place for place, (syncs, unsynced) in enumerate(acknowledged) if not syncs or unsynced] == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_connections_of_other_threads_and_of_forked_children_wait_for_the_disk_as_well(path):
    def synchronous():
        return store.database.execute_sql("PRAGMA synchronous").fetchone()

    def on_a_connection_of_its_own(barrier, place):
        with store.database.atomic("DEFERRED"):
            barrier.wait(PATIENCE)
            return synchronous()

    with open_store(path) as store:
        found = [*in_threads(3, on_a_connection_of_its_own), forked(synchronous)(), synchronous()]

    assert found == [(2,)] * 5
