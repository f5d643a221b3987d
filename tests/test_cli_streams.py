"""The command line: pipes that break, full disks, Ctrl-C, closed streams and encodings."""

import os
import signal
import subprocess

import pytest
from cases import each
from commandline import SCRIPT, Started, environment, rows

from vulcan_store import create_workloads
from vulcan_store.testing import make_workload


@pytest.fixture
def broken():
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_a_pipe_that_breaks_in_the_middle_ends_it_quietly(file_store):
    create_workloads({"runtime": "go"} for _ in range(1_500))

    with Started("list --limit 1500") as listing:
        listing.stdout.readline()
        listing.stdout.close()
        complaints = listing.stderr.read()

    assert (listing.returncode, complaints) == (141, "")


@each("command", ["list", "list --json", "get a", "export", "--help", "list --help"])
def test_a_pipe_that_was_broken_from_the_start_ends_it_quietly(file_store, broken, command):
    make_workload(id="a")

    with Started(command, stdout=broken) as ended:
        complaints = ended.stderr.read()

    assert (ended.returncode, complaints) == (141, "")


@pytest.fixture
def full():
    """A device that is always full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("only Linux has a device that is always full")
    device = os.open("/dev/full", os.O_WRONLY)
    yield device
    os.close(device)


def test_a_full_disk_under_the_output_is_an_error_of_one_line(file_store, full):
    with Started("list", stdout=full) as ended:
        complaints = ended.stderr.read()

    assert (ended.returncode, complaints) == (1, "vulcan-store: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_claim_that_cannot_be_printed_is_put_back(file_store, path, broken, full, options):
    make_workload(id="a")

    for where, status in ((broken, 141), (full, 1)):
        with Started(f"claim n1 {options}", stdout=where) as ended:
            complaints = ended.stderr.read()

        assert (ended.returncode, complaints.count("\n")) == (status, int(status == 1))
        assert rows(path, "SELECT status, node_id FROM workloads") == [("pending", "")]


def test_streams_may_be_closed_and_a_claim_without_an_output_is_put_back(file_store, path):
    make_workload(id="a")

    for line, status in (("import <&- 2>&-", 0), ("claim n1 >&- 2>&-", 1)):
        assert subprocess.run(["sh", "-c", f"{SCRIPT} {line}"], env=environment()).returncode == status

    assert rows(path, "SELECT status, node_id FROM workloads") == [("pending", "")]


def test_ctrl_c_in_an_import_leaves_nothing_of_it(file_store, path):
    line = '{"runtime": "go", "error": "%s"}\n' % ("x" * 1_000)

    with Started("import") as importing:
        importing.stdin.write(line * 1_000)  # more than a pipe holds, so that some of it is being read
        importing.send_signal(signal.SIGINT)
        _, complaints = importing.communicate()

    assert (importing.returncode, complaints) == (130, "")
    assert rows(path, "SELECT COUNT(*) FROM workloads") == [(0,)]


def test_text_that_the_encoding_of_the_output_lacks_is_escaped(file_store):
    make_workload(id="a", error="grün ✓")

    ended = subprocess.run([SCRIPT, "get", "a"], env=environment(PYTHONIOENCODING="latin-1"), capture_output=True)

    assert "error        grün \\u2713\n".encode("latin-1") in ended.stdout
