"""The command line: the commands about single workloads, on a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import environment, on_terminal, rows, vulcan

from vulcan_store import (
    append_log_lines,
    create_workloads,
    get_workload,
    list_workloads,
    open_store,
)
from vulcan_store.models.clock import from_text
from vulcan_store.testing import make_workload


@pytest.fixture
def store(path):
    """A file store, open here while the commands work on it as well."""
    with open_store(path) as store:
        yield store


def test_create_prints_the_id_of_what_it_stores(path):
    ended = vulcan(
        "--db", path, "create", "--runtime", "wasm", "--isolation", "gvisor", "--mem-limit", "512", "--node-id", "n1"
    )

    with open_store(path):
        stored = get_workload(ended.stdout.strip())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (stored.runtime, stored.isolation, stored.mem_limit, stored.node_id) == ("wasm", "gvisor", 512, "n1")


def test_create_takes_every_field(path, tmp_path):
    (tmp_path / "result").write_bytes(b"\x00\xff")
    given = {
        "id": "my-own", "status": "failed", "isolation": "microvm", "runtime": "oci", "node_id": "n1",
        "input_hash": "abc", "output": "AP8=", "exit_code": -9, "error": "grün", "cpu_limit": 1, "mem_limit": 2,
        "timeout_s": 3, "duration_ms": 4, "created_at": "2026-02-18T11:12:42.000001Z",
        "started_at": "2026-02-18T11:12:43.000000Z", "finished_at": "2026-02-18T11:12:44.000000Z",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if name != "output"]

    ended = vulcan("create", "--db", path, *options, "--output", tmp_path / "result", "--json")

    assert json.loads(ended.stdout) == given


def test_get_prints_one_field_a_line(store, path):
    noon = from_text("2026-02-18T11:12:42Z")
    make_workload(id="w", status="completed", output=b"12345", error="two\nlines\x1b", created_at=noon)

    ended = vulcan("get", "w", "--db", path)

    assert ended.stdout.splitlines() == [
        "id           w",
        "status       completed",
        "isolation    auto",
        "runtime      python",
        'node_id      ""',
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


def test_get_as_json_is_the_servers_form(store, path):
    workload = make_workload(status="completed", output=b"\x00\xff")

    ended = vulcan("--db", path, "get", workload.id, "--json")

    assert json.loads(ended.stdout) == workload.to_dict()
    assert ended.stdout.count("\n") == 1


def test_get_writes_the_result_bytes_to_a_file_or_to_stdout(store, path, tmp_path):
    make_workload(id="w", output=bytes(range(256)))

    to_file = vulcan("--db", path, "get", "w", "--output", tmp_path / "result")
    to_stdout = subprocess.run(
        [sys.executable, "-m", "vulcan_store", "--db", path, "get", "w", "--output", "-"],
        env=environment(), capture_output=True,
    )

    assert (to_file.returncode, to_file.stdout, to_file.stderr) == (0, "", "")
    assert (tmp_path / "result").read_bytes() == to_stdout.stdout == bytes(range(256))


def test_an_empty_result_is_written_too(store, path, tmp_path):
    make_workload(id="w", output=b"")

    ended = vulcan("--db", path, "get", "w", "--output", tmp_path / "result")

    assert (ended.returncode, (tmp_path / "result").read_bytes()) == (0, b"")


def test_get_of_a_result_that_is_not_there_leaves_no_file(store, path, tmp_path):
    make_workload(id="w")

    ended = vulcan("--db", path, "get", "w", "--output", tmp_path / "result")

    assert (ended.returncode, ended.stderr) == (1, "vulcan-store: workload 'w' has no output\n")
    assert not (tmp_path / "result").exists()


def test_list_prints_an_aligned_table_and_which_part_it_is(store, path):
    create_workloads({"runtime": "go", "id": f"workload-{number:04}"} for number in range(4321))

    ended = vulcan("--db", path, "list")

    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "ISOLATION", "RUNTIME", "NODE", "AGE", "DURATION"]
    assert [line.split()[0] for line in lines[1:3]] == ["workload-4320", "workload-4319"]
    assert {len(line) for line in lines[:-1]} == {len(lines[0])}
    assert (len(lines), lines[-1]) == (22, "1-20 of 4,321")


def test_list_as_json_is_an_object_a_line(store, path):
    for number in range(3):
        make_workload(output=b"\x00", node_id=str(number))

    ended = vulcan("--db", path, "list", "--json", "--limit", 2, "--offset", 1)

    expected = [workload.to_dict() for workload in list_workloads(2, 1).items]
    assert [json.loads(line) for line in ended.stdout.splitlines()] == expected


def test_update_moves_a_workload_and_shows_it(store, path, tmp_path):
    workload = make_workload(status="running")
    (tmp_path / "result").write_bytes(b"\x00\xff")

    ended = vulcan(
        "--db", path, "update", workload.id, "--status", "completed", "--output", tmp_path / "result",
        "--exit-code", -1, "--duration-ms", 350,
    )

    stored = get_workload(workload.id)
    assert (stored.status, stored.output, stored.exit_code, stored.duration_ms) == ("completed", b"\x00\xff", -1, 350)
    assert f"finished_at  {stored.to_dict()['finished_at']}\n" in ended.stdout


def test_update_reads_a_result_from_stdin(store, path):
    workload = make_workload(status="running")

    ended = vulcan("--db", path, "update", workload.id, "--output", "-", "--json", stdin=b"\x01\x02")

    assert json.loads(ended.stdout) == get_workload(workload.id).to_dict()
    assert get_workload(workload.id).output == b"\x01\x02"


def test_delete_takes_a_workload_and_its_log_away_whatever_its_status(store, path):
    for workload_id in ("a", "b", "c"):
        make_workload(id=workload_id, status="running")
        append_log_lines(workload_id, ["a line"])

    ended = vulcan("--db", path, "delete", "a", "b", "a")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2 workloads deleted\n", "")
    assert rows(path, "SELECT id FROM workloads") == rows(path, "SELECT workload_id FROM log_lines") == [("c",)]


def test_update_changes_several_workloads_at_once_or_none(store, path):
    for workload_id, status in (("a", "pending"), ("b", "running"), ("c", "completed")):
        make_workload(id=workload_id, status=status)

    refused = vulcan("--db", path, "update", "a", "b", "c", "--status", "killed")
    between = rows(path, "SELECT id, status FROM workloads ORDER BY id")
    ended = vulcan("--db", path, "update", "a", "b", "--status", "killed")

    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert between == [("a", "pending"), ("b", "running"), ("c", "completed")]
    assert [line.split()[:2] for line in ended.stdout.splitlines()] == [
        ["ID", "STATUS"], ["a", "killed"], ["b", "killed"]
    ]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("way", ["its name", "a symbolic link", "a hard link"])
def test_get_never_writes_over_a_file_of_the_store(store, path, tmp_path, suffix, way):
    make_workload(id="w", output=b"result")
    own = Path(path + suffix)
    output = own if way == "its name" else tmp_path / "link"
    if way == "a symbolic link":
        output.symlink_to(own)
    elif way == "a hard link":
        if not own.exists():
            pytest.skip("there is no such file now")
        own = Path(store.target + suffix)
        output.hardlink_to(own)

    ended = vulcan("--db", path, "get", "w", "--output", output)

    if way == "a hard link":
        output.unlink()
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert not own.exists() or own.read_bytes() != b"result"
    assert get_workload("w").output == b"result"


def test_an_id_is_one_line_of_a_quiet_list_whatever_is_in_it(store, path):
    make_workload(id="a\nb\x1b")

    assert vulcan("--db", path, "list", "--quiet").stdout == "a\\nb\\x1b\n"


def test_a_result_at_a_terminal_is_escaped(store, path):
    make_workload(id="w", output=b"a\x1b[2J\n\xff")

    assert on_terminal("--db", path, "get", "w", "--output", "-") == "a\\x1b[2J\n\\xff\n"
