"""Export and import: one store into another, and what an import refuses."""

import json
import tracemalloc

import pytest
import server_file
from cases import each
from commandline import vulcan

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
from vulcan_store.operations import reading
from vulcan_store.operations.transfer import InvalidLineError, export_workloads, import_workloads
from vulcan_store.testing import make_workload


def everything(path):
    """What a store holds, workload by workload, as Python values."""
    with open_store(path):
        return {
            workload.id: (
                {**workload.__data__, "output": workload.output or None},
                [(line.seq, line.line, line.created_at) for line in list_log_lines(workload.id)],
            )
            for workload in iter_workloads()
        }


def test_a_servers_file_piped_from_export_into_import_gives_an_equal_store(path, tmp_path):
    servers = str(tmp_path / "server.db")
    server_file.build(servers)
    exported = vulcan("--db", servers, "export")
    imported = vulcan("--db", path, "import", stdin=exported.stdout)

    assert (imported.returncode, imported.stderr, exported.returncode) == (0, "", 0)
    assert "4 imported\n" in imported.stdout and "unknown status: paused" in imported.stdout
    assert everything(path) == everything(servers)


def test_an_export_is_a_line_for_each_workload_with_its_log(store):
    for workload_id in "ab":
        make_workload(id=workload_id)
    append_log_lines("b", ["first", "second"])
    lines = []

    export_workloads(store, lines.append)

    found = {workload["id"]: workload for workload in map(json.loads, lines[1:])}
    assert [(line["seq"], line["line"]) for line in found["b"].pop("log_lines")] == [(0, "first"), (1, "second")]
    assert found == {"a": {**get_workload("a").to_dict(), "log_lines": []}, "b": get_workload("b").to_dict()}


def test_an_export_is_one_view_whatever_is_written_meanwhile(path, monkeypatch):
    monkeypatch.setattr(reading, "RESULTS_PER_BATCH", 2)
    with open_store(path) as store:
        create_workloads({"runtime": "go"} for _ in range(4))
        lines = []

        def write(line):
            lines.append(line)
            vulcan("--db", path, "create", "--runtime", "wasm") if len(lines) == 2 else None

        export_workloads(store, write)

        assert len(lines) == 1 + 4
        assert list_workloads().total == 5


def test_an_import_fills_in_what_is_left_out(store):
    lines = [b'{"runtime": "go", "log_lines": [{"seq": 0, "line": "x"}]}\n', b"\n", b'{"runtime": "go"}']

    count, _ = import_workloads(store, lines)

    newest, oldest = list_workloads().items
    assert (count, oldest.status, oldest.isolation) == (2, "pending", "auto")
    assert [line.line for line in list_log_lines(oldest.id)] == ["x"]
    assert abs(list_log_lines(oldest.id)[0].created_at - oldest.created_at).total_seconds() < 60


@each("line, reason", [
    (b"\xff\xfe{}", "this is no JSON"),
    (b"[" * 100_000, "this is no JSON"),
    (b"[]", "this is no JSON object"),
    (b'{"runtime": 5}', "runtime is 5; it must be one of go"),
    (b"{}", "runtime is missing"),
    (b'{"runtime": "go", "colour": 1}', "colour is 1; it must be left out"),
    (b'{"runtime": "go", "created_at": "soon"}', "created_at is 'soon'"),
    (b'{"runtime": "go", "output": "?"}', "output is '?'"),
    (b'{"runtime": "go", "error": "\\ud800"}', "error is"),
    (b'{"runtime": "go", "id": "taken"}', "workload 'taken' exists already"),
    (b'{"runtime": "go", "id": "new-1"}', "workload 'new-1' exists already"),
    (b'{"runtime": "go", "log_lines": 5}', "log_lines is 5; it must be a list of objects"),
    (b'{"runtime": "go", "log_lines": [{"id": 5}]}', "log_lines is {'id': 5}; it must be a list of objects"),
    (b'{"runtime": "go", "log_lines": [{"seq": -1, "line": ""}]}', "seq is -1"),
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
        importing = peak(lambda: import_workloads(store, (line for _ in range(300))))
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
