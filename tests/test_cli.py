"""The command line: single workloads."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from cases import each
from commandline import environment, rows, vulcan

from vulcan_store import append_log_lines, get_workload, list_workloads
from vulcan_store.models.clock import from_text
from vulcan_store.testing import make_workload


def test_create_prints_the_id_of_what_it_stores(file_store):
    created = vulcan("create --runtime wasm --isolation gvisor")

    (stored,) = list_workloads().items
    assert created == (0, f"{stored.id}\n", "")
    assert (stored.runtime, stored.isolation) == ("wasm", "gvisor")


def test_create_takes_every_field(file_store, tmp_path):
    (tmp_path / "result").write_bytes(b"\x00\xff")
    given = {
        "id": "my-own", "status": "failed", "isolation": "microvm", "runtime": "oci", "node_id": "n1",
        "input_hash": "abc", "output": "AP8=", "exit_code": -9, "error": "grün", "cpu_limit": 1, "mem_limit": 2,
        "timeout_s": 3, "duration_ms": 4, "created_at": "2026-02-18T11:12:42.000001Z",
        "started_at": "2026-02-18T11:12:43.000000Z", "finished_at": "2026-02-18T11:12:44.000000Z",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if name != "output"]

    vulcan("create --output", tmp_path / "result", *options)

    assert get_workload("my-own").to_dict() == given


def test_get_prints_one_field_a_line(file_store):
    noon = from_text("2026-02-18T11:12:42Z")
    make_workload(
        id="w", status="completed", output=b"12345", error="two\nlines\x1b", created_at=noon, started_at=noon,
    )  # fmt: skip

    assert vulcan("get w").stdout.splitlines() == [
        "id           w",
        "status       completed",
        "isolation    auto",
        "runtime      python",
        "node_id      -",
        "input_hash   -",
        "output       5 bytes",
        "exit_code    -",
        "error        two",
        "             lines\\x1b",
        "cpu_limit    -",
        "mem_limit    -",
        "timeout_s    -",
        "duration_ms  -",
        "created_at   2026-02-18T11:12:42.000000Z",
        "started_at   2026-02-18T11:12:42.000000Z",
        "finished_at  2026-02-18T11:12:42.000000Z",
    ]


@each("status, command", [
    ("pending", "get w"), ("pending", "list"), ("pending", "claim n"), ("running", "update w --exit-code 3"),
    ("completed", "wait w"), ("pending", "create --id w2 --runtime go"),
])
def test_json_is_a_line_in_the_servers_form(file_store, status, command):
    make_workload(id="w", status=status, output=b"\x00\xff")

    shown = vulcan(command, "--json").stdout

    assert json.loads(shown) == get_workload("w2" if "w2" in command else "w").to_dict()
    assert shown.count("\n") == 1


@each("content", [bytes(range(256)), b""])
def test_get_writes_the_result_bytes_to_a_file(file_store, tmp_path, content):
    make_workload(id="w", output=content)

    assert vulcan("get w --output", tmp_path / "result") == (0, "", "")
    assert (tmp_path / "result").read_bytes() == content


def test_get_writes_the_result_bytes_to_stdout(file_store):
    make_workload(id="w", output=bytes(range(256)))
    command = [sys.executable, "-m", "vulcan_store", "get", "w", "--output", "-"]

    assert subprocess.check_output(command, env=environment()) == bytes(range(256))


def test_get_of_a_result_that_is_not_there_leaves_no_file(file_store, tmp_path):
    make_workload(id="w")

    assert vulcan("get w --output", tmp_path / "result") == (1, "", "vulcan-store: workload 'w' has no output\n")
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize("way, suffix", [
    *product(["its name", "a symbolic link"], ["", "-wal", "-shm", "-journal"]), ("a hard link", ""),
])
def test_get_never_writes_over_a_file_of_the_store(file_store, path, tmp_path, way, suffix):
    make_workload(id="w", output=b"result")
    own = Path(path + suffix)
    output = own if way == "its name" else tmp_path / "link"
    if way == "a symbolic link":
        output.symlink_to(own)
    if way == "a hard link":
        output.hardlink_to(own)

    ended = vulcan("get w --output", output)

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert not own.exists() or own.read_bytes() != b"result"
    assert get_workload("w").output == b"result"


def test_update_moves_a_workload_and_shows_it(file_store):
    make_workload(id="w", status="running")

    ended = vulcan("update w --status completed --output - --exit-code -1 --duration-ms 350", stdin=b"\x00\xff")

    stored = get_workload("w")
    assert (stored.status, stored.output, stored.exit_code, stored.duration_ms) == ("completed", b"\x00\xff", -1, 350)
    assert f"finished_at  {stored.to_dict()['finished_at']}\n" in ended.stdout


def test_update_changes_several_workloads_at_once_or_none(file_store, path):
    for workload_id, status in (("a", "pending"), ("b", "running"), ("c", "completed")):
        make_workload(id=workload_id, status=status)

    refused = vulcan("update a b c --status killed")
    between = rows(path, "SELECT id, status FROM workloads ORDER BY id")
    ended = vulcan("update a b --status killed")

    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert between == [("a", "pending"), ("b", "running"), ("c", "completed")]
    assert [line.split()[:2] for line in ended.stdout.splitlines()] == [
        ["ID", "STATUS"], ["a", "killed"], ["b", "killed"]
    ]


def test_delete_takes_workloads_and_their_logs_away_whatever_their_status(file_store, path):
    for workload_id in ("a", "b", "c"):
        make_workload(id=workload_id, status="running")
        append_log_lines(workload_id, ["a line"])

    refused = vulcan("delete a nobody")
    done = vulcan("delete a b a")

    assert refused == (1, "", "vulcan-store: there is no workload 'nobody'\n")
    assert done == (0, "2 deleted\n", "")
    assert rows(path, "SELECT id FROM workloads") == rows(path, "SELECT workload_id FROM log_lines") == [("c",)]
