"""Export and import: one store into another, and what an import refuses."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tracemalloc

import pytest
import server_file
from commandline import SCRIPT, environment, rows, vulcan

from vulcan_store import (
    StoreUnavailableError,
    append_log_lines,
    create_workloads,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
)
from vulcan_store.current import CURRENT
from vulcan_store.models.clock import from_text
from vulcan_store.operations import reading
from vulcan_store.operations.transfer import Imported, InvalidLineError, export_workloads, import_workloads
from vulcan_store.testing import make_workload

SERVERS_ROWS = [
    ("w3", "completed", "", "go", "", "", b"\x00\xff", -1, "", 0, 0, 0, 0,
     "2026-02-18 11:12:44.1 +0000 UTC m=+0.123", "2026-02-18 13:12:45.123456789 +0200 CEST",
     "2026-02-18 11:12:46 +0000 UTC"),
    ("w1", "pending", "auto", "node", "", None, None, None, None, None, None, None, None,
     "2026-02-18 11:12:42 +0000 UTC", None, None),
    ("w2", "failed", "microvm", "oci", "n", "h", b"\0", 9, "größer\n\u2028", 1, 2, 3, 2**63 - 1,
     "2026-02-18 11:12:42.000001 +0000 UTC", None, "2026-02-18 11:12:43 +0000 UTC"),
]
SERVERS_LINES = [("w2", 0, "first"), ("w3", 5, "begins at five"), ("w2", 1, ""), ("w2", 2, "tab\t, and \x1b[31mred")]


@pytest.fixture
def servers(tmp_path):
    """A file as the reference server would have written it."""
    path = str(tmp_path / "server.db")
    with sqlite3.connect(path) as connection:
        connection.executescript(server_file.SCHEMA)
        connection.executemany(f"INSERT INTO workloads VALUES ({', '.join('?' * 16)})", SERVERS_ROWS)
        connection.executemany("INSERT INTO log_lines (workload_id, seq, line) VALUES (?, ?, ?)", SERVERS_LINES)
    connection.close()
    return path


def everything(path):
    """What a store holds, workload by workload, as Python values."""
    with open_store(path):
        return {
            workload.id: (
                workload.__data__, [(line.seq, line.line, line.created_at) for line in list_log_lines(workload.id)]
            )
            for workload in iter_workloads()
        }


def exported():
    """The workloads of the store that is open, as lines."""
    lines = []
    export_workloads(CURRENT, lines.append)
    return [line.encode() for line in lines[1:]]


def test_a_servers_file_piped_from_export_into_import_gives_an_equal_store(servers, path):
    exporting = subprocess.Popen([SCRIPT, "--db", servers, "export"], stdout=subprocess.PIPE, env=environment())
    with exporting:
        importing = subprocess.run(
            [SCRIPT, "--db", path, "import"], stdin=exporting.stdout, capture_output=True, env=environment()
        )

    assert (importing.stdout, importing.stderr, exporting.returncode) == (b"3 imported\n", b"", 0)
    assert everything(path) == everything(servers)
    plain = "id, isolation, node_id, COALESCE(input_hash, ''), output, exit_code, COALESCE(error, ''), cpu_limit"
    for query in (
        f"SELECT {plain} FROM workloads ORDER BY id", "SELECT workload_id, seq, line FROM log_lines ORDER BY 1, 2"
    ):
        assert rows(path, query) == rows(servers, query)


def test_a_word_that_only_a_newer_server_knows_is_exported_and_imported(path, tmp_path):
    server_file.build(tmp_path / "server.db")

    exported = vulcan("--db", tmp_path / "server.db", "export")
    imported = vulcan("--db", path, "import", stdin=exported.stdout)

    assert (exported.returncode, imported.returncode) == (0, 0)
    assert "unknown status: paused" in imported.stdout
    assert rows(path, "SELECT COUNT(*) FROM workloads WHERE status = 'paused'") == [(1,)]


def test_an_export_changes_nothing_about_a_servers_file(servers):
    with open(servers, "rb") as file:
        before = file.read()

    vulcan("--db", servers, "export")

    with open(servers, "rb") as file:
        assert file.read() == before


def test_an_export_is_a_line_for_each_workload_newest_first_with_its_log(store):
    for workload_id, day in (("c", "2026-01-01"), ("a", "2026-01-02"), ("b", "2026-01-01")):
        make_workload(id=workload_id, created_at=from_text(day))
    append_log_lines("b", ["first", "second"])

    found = [json.loads(line) for line in exported()]

    assert [workload["id"] for workload in found] == ["a", "c", "b"]
    assert [(line["seq"], line["line"]) for line in found[2].pop("log_lines")] == [(0, "first"), (1, "second")]
    assert found[2] == get_workload("b").to_dict()
    assert found[1]["log_lines"] == []


def test_an_export_is_one_view_whatever_is_written_meanwhile(path, monkeypatch):
    monkeypatch.setattr(reading, "RESULTS_PER_BATCH", 2)
    with open_store(path) as store:
        create_workloads({"runtime": "go"} for _ in range(4))
        lines = []

        def write(line):
            lines.append(line)
            vulcan("--db", path, "create", "--runtime", "wasm") if len(lines) == 2 else None

        assert export_workloads(store, write) == len(lines) - 1 == 4
        assert list_workloads().total == 5


def test_an_import_fills_in_what_is_left_out(store):
    lines = [b'{"runtime": "go", "log_lines": [{"seq": 0, "line": "x"}]}\n', b"\n", b'{"runtime": "go"}']

    count = import_workloads(store, lines).count

    newest, oldest = list_workloads().items
    assert (count, oldest.status, oldest.isolation) == (2, "pending", "auto")
    assert [line.line for line in list_log_lines(oldest.id)] == ["x"]
    assert abs(list_log_lines(oldest.id)[0].created_at - oldest.created_at).total_seconds() < 60


def test_an_import_of_nothing_is_nothing(store):
    assert import_workloads(store, []) == import_workloads(store, [b"\n"]) == Imported(0, {})


def test_a_broken_line_17_leaves_nothing_changed(path):
    with open_store(path):
        make_workload(id="there")
    lines = [json.dumps({"runtime": "go", "id": f"new-{number}"}) for number in range(1, 21)]
    lines[16] = '{"runtime": "go", "id": '
    before = rows(path, "SELECT * FROM workloads")

    ended = vulcan("--db", path, "import", stdin="\n".join(lines))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "vulcan-store: line 17: this is no JSON: Expecting value: column 24 (char 23); nothing was imported\n"
    )
    assert rows(path, "SELECT * FROM workloads") == before


@pytest.mark.parametrize("line, reason", [
    (b"{", "this is no JSON"),
    (b"\xff\xfe{}", "this is no JSON"),
    (b"[" * 100_000, "this is no JSON"),
    (b"[]", "this is no JSON object"),
    (b'{"runtime": 5}', "runtime is 5; it must be one of go"),
    (b"{}", "runtime is missing"),
    (b'{"runtime": "go", "colour": 1}', "colour is 1; it must be left out"),
    (b'{"runtime": "go", "created_at": "soon"}', "created_at is 'soon'"),
    (b'{"runtime": "go", "created_at": "2026-01-01T00:00:00"}', "created_at is '2026-01-01T00:00:00'"),
    (b'{"runtime": "go", "output": "?"}', "output is '?'"),
    (b'{"runtime": "go", "error": "\\ud800"}', "error is"),
    (b'{"runtime": "go", "id": "taken"}', "workload 'taken' exists already"),
    (b'{"runtime": "go", "id": "new-1"}', "workload 'new-1' exists already"),
    (b'{"runtime": "go", "log_lines": 5}', "log_lines is 5; it must be a list of objects"),
    (b'{"runtime": "go", "log_lines": ["text"]}', "log_lines is 'text'; it must be a list of objects"),
    (b'{"runtime": "go", "log_lines": [{"id": 5}]}', "log_lines is {'id': 5}; it must be a list of objects"),
    (b'{"runtime": "go", "log_lines": [{"seq": -1, "line": ""}]}', "seq is -1"),
    (b'{"runtime": "go", "log_lines": [{"seq": 0}]}', "line is None"),
    (b'{"runtime": "go", "log_lines": [{"seq": 0, "line": "", "created_at": 5}]}', "created_at is 5"),
])
def test_an_import_names_the_line_that_it_refuses_and_stores_none(store, line, reason):
    make_workload(id="taken")
    lines = [b'{"runtime": "go", "id": "new-%d"}\n' % number for number in range(3)]

    with pytest.raises(InvalidLineError) as caught:
        import_workloads(store, [*lines, line, *lines])

    assert caught.value.line == 4
    assert caught.value.reason.startswith(reason)
    assert [workload.id for workload in iter_workloads()] == ["taken"]


def test_memory_does_not_grow_with_what_is_imported_or_exported(path):
    line = json.dumps({"runtime": "go", "error": "x" * 10_000}).encode()

    def peak(work):
        tracemalloc.start()
        work()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    with open_store(path) as store:
        importing = peak(lambda: import_workloads(store, (line for _ in range(600))))
        exporting = peak(lambda: export_workloads(store, len))

    assert importing < 1_000_000
    assert exporting < 2_000_000


def test_an_import_into_a_store_that_may_not_be_written_says_so(path):
    open_store(path).close()

    with open_store(path, read_only=True) as store, pytest.raises(StoreUnavailableError):
        import_workloads(store, [b'{"runtime": "go"}'])


def test_an_import_takes_the_times_as_they_are_given_and_adds_none(store):
    created_at = "2026-02-18T12:00:00Z"
    lines = [json.dumps({"id": status, "status": status, "runtime": "go", "created_at": created_at}).encode()
             for status in ("running", "failed")]

    import_workloads(store, lines)

    assert get_workload("running").started_at is None
    assert get_workload("failed").finished_at is None
