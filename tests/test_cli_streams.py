"""The command line: pipes that break, full disks, Ctrl-C, closed streams and encodings."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import pytest
from commandline import SCRIPT, Started, environment, rows

from vulcan_store import create_workloads, open_store
from vulcan_store.cli.main import main
from vulcan_store.testing import make_workload


@pytest.fixture
def filled(path):
    """A path to a store with five workloads, of which one is a."""
    with open_store(path):
        for workload_id in "abcde":
            make_workload(id=workload_id)
    return path


def test_a_pipe_that_breaks_in_the_middle_ends_it_quietly(path):
    with open_store(path):
        create_workloads({"runtime": "go"} for _ in range(5_000))

    with Started("--db", path, "list", "--limit", 5_000) as listing:
        listing.stdout.readline()
        listing.stdout.close()
        complaints = listing.stderr.read()

    assert (listing.returncode, complaints) == (141, "")


@pytest.mark.parametrize("line", ["list", "list --json", "get a", "export", "--help", "list --help"])
def test_a_pipe_that_was_broken_from_the_start_ends_it_quietly(filled, line):
    reading, writing = os.pipe()
    os.close(reading)

    with Started("--db", filled, *line.split(), stdout=writing) as ended:
        os.close(writing)
        complaints = ended.stderr.read()

    assert (ended.returncode, complaints) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_under_the_output_is_an_error_of_one_line(filled):
    with open("/dev/full", "wb") as full, Started("--db", filled, "list", stdout=full) as ended:
        complaints = ended.stderr.read()

    assert (ended.returncode, complaints) == (1, "vulcan-store: [Errno 28] No space left on device\n")


def test_ctrl_c_in_an_import_leaves_nothing_of_it(path):
    line = '{"runtime": "go", "error": "%s"}\n' % ("x" * 1_000)

    with Started("--db", path, "import") as importing:
        importing.stdin.write(line * 1_000)  # more than a pipe holds, so that some of it is being read
        importing.send_signal(signal.SIGINT)
        _, complaints = importing.communicate()

    assert (importing.returncode, complaints) == (130, "")
    assert rows(path, "SELECT COUNT(*) FROM workloads") == [(0,)]


def test_text_that_the_encoding_of_the_output_lacks_is_escaped(filled):
    with open_store(filled):
        make_workload(id="f", error="grün ✓")

    ended = subprocess.run(
        [SCRIPT, "--db", filled, "get", "f"], env=environment(PYTHONIOENCODING="latin-1"), capture_output=True
    )

    assert "error        grün \\u2713\n".encode("latin-1") in ended.stdout


@pytest.mark.parametrize("line", ["list <&- 2>&-", "import <&-", "get nobody 2>&-"])
def test_streams_may_be_closed(filled, line):
    ended = subprocess.run(["sh", "-c", f"{SCRIPT} --db {filled} {line}"], env=environment(), stderr=subprocess.PIPE)

    assert (ended.returncode, ended.stderr) == (int("nobody" in line), b"")


def test_the_output_may_be_any_stream_of_text(filled, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())

    assert main(["--db", filled, "list"]) == 0

    assert sys.stdout.getvalue().endswith("1-5 of 5\n")


@pytest.mark.parametrize("target, status", [("/dev/full", 1), ("a broken pipe", 141), ("nothing", 1)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_claim_that_cannot_be_printed_is_put_back(filled, target, status, options):
    command = f"{SCRIPT} --db {filled} claim n1 {' '.join(options)}"
    if target == "a broken pipe":
        reading, writing = os.pipe()
        os.close(reading)
        ended = subprocess.run(command.split(), env=environment(), stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
    else:
        where = ">&-" if target == "nothing" else f"> {target}"
        ended = subprocess.run(["sh", "-c", f"{command} {where}"], env=environment(), stderr=subprocess.PIPE)

    assert (ended.returncode, ended.stderr.count(b"\n")) == (status, int(status == 1))
    assert rows(filled, "SELECT DISTINCT status, node_id FROM workloads") == [("pending", "")]
