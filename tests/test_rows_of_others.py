"""What another program wrote is worked with like a row of one's own, and no call goes on for ever over it."""

import json
from contextlib import contextmanager
from datetime import timedelta

import foreign_rows
import pytest
from cases import case, each
from values import LATER

from vulcan_store import (
    ClaimLostError,
    InvalidWorkloadError,
    LogLine,
    Workload,
    WorkloadNotFoundError,
    append_log_lines,
    backup_store,
    claim_workload,
    delete_workload,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    release_workloads,
    update_workload,
    update_workload_status,
    wait_workload,
    workload_stats,
)
from vulcan_store.operations.transfer import InvalidLineError, export_workloads, import_workloads

READABLE = [text for text in foreign_rows.TIMES if text not in ("soon", "")]


@pytest.fixture
def holding(file_store, path):
    """Puts a row of another program's, and no other, into the open store."""

    @contextmanager
    def hold(**values):
        del file_store.database.query_hooks[:]
        for model in (LogLine, Workload):
            model.delete().execute()
        foreign_rows.write(path, values)
        foreign_rows.limit(file_store)
        with case(values):
            yield stored_id()

    return hold


def stored_id():
    return next(iter_workloads()).id


def saved(key):
    workload = get_workload(key)
    workload.exit_code = 7
    assert workload.save() == 1
    assert get_workload(key).exit_code == 7


def ended_under_its_claim(key):
    claim = get_workload(key)
    assert update_workload(key, claim=claim).id == key
    assert update_workload(key, claim=claim, status="failed", error="timed out").status == "failed"
    assert update_workload(key, claim=claim, status="failed", error="timed out").status == "failed"


CALLS = {
    "get": lambda key: json.dumps(get_workload(key).to_dict()),
    "list": lambda key: list_workloads().items[0].to_dict(),
    "list of filters": lambda key: list_workloads(node_id="n", started_since=LATER, created_before=LATER),
    "stream": lambda key: list(iter_workloads(status=["running", "pending"])),
    "update": lambda key: update_workload(key, error="e", exit_code=3),
    "update with a claim": ended_under_its_claim,
    "status": lambda key: update_workload_status(key, "running"),
    "status back": lambda key: update_workload_status(key, "pending"),
    "save": saved,
    "claim": lambda key: claim_workload("m"),
    "release of a node": lambda key: release_workloads(node_id="n"),
    "release by time": lambda key: release_workloads(started_before=LATER),
    "wait": lambda key: wait_workload(update_workload_status(key, "killed").id, timeout=0),
    "delete": lambda key: delete_workload(key),
    "delete_instance": lambda key: get_workload(key).delete_instance(),
    "purge": lambda key: (update_workload_status(key, "failed"), purge_workloads(LATER)),
    "logs": lambda key: (append_log_lines(key, ["a"]), list_log_lines(key)[0].to_dict()),
    "statistics": lambda key: workload_stats(),
    "a query of Peewee's": lambda key: list(Workload.select().where(Workload.id == key)),
}


@each("call", CALLS)
def test_every_call_returns_whatever_another_program_wrote(holding, call):
    for values in foreign_rows.ODD:
        with holding(**values) as key:
            call(key)


@each("call", CALLS)
def test_every_call_ends_over_an_id_that_is_not_utf_8(holding, call):
    for bad in (b"\xff1", b"\x80", b"a\xf0"):
        with holding(id=bad) as key:
            assert "\ufffd" in key
            try:
                call(key)
            except WorkloadNotFoundError as error:
                assert error.workload_id == key


def test_what_a_change_does_not_name_stays_as_it_is_stored(holding, path):
    columns = "created_at, started_at, isolation, runtime, cpu_limit, input_hash"
    for values in foreign_rows.ODD:
        with holding(**values) as key:
            before = foreign_rows.raw(path, columns)
            update_workload(key, exit_code=3)

            assert foreign_rows.raw(path, columns) == before


def test_a_claim_of_a_run_in_any_form_is_lost_once_that_run_is_over(holding):
    for text in READABLE:
        with holding(started_at=text):
            claim = get_workload("w")
            update_workload_status("w", "pending")
            claim_workload("other")

            with pytest.raises(ClaimLostError) as lost:
                update_workload("w", claim=claim, status="completed", output=b"late")

            assert (lost.value.node_id, get_workload("w").output) == ("other", None)


def test_a_release_passes_over_an_id_of_bytes(file_store, path):
    foreign_rows.write(path, {"id": bytearray(b"\xff1")}, {"id": "a"}, {"id": "b"})

    assert release_workloads(node_id="n") == 2
    assert [workload.id for workload in list_workloads(status="running").items] == [b"\xff1"]


def test_a_release_goes_by_the_instant(holding):
    for text in READABLE:
        with holding(started_at=text):
            started = get_workload("w").started_at
            assert release_workloads(started_before=started) == 0
            assert release_workloads(started_before=started + timedelta(microseconds=1)) == 1


def test_a_start_that_cannot_be_read_is_the_stored_text_and_is_released_with_its_node_alone(holding):
    for text in ("soon", "", None):
        with holding(started_at=text):
            assert get_workload("w").started_at == text == get_workload("w").to_dict().get("started_at")
            assert release_workloads(started_before=LATER) == 0
            assert release_workloads(node_id="n") == 1


def test_an_unknown_status_is_counted_neither_claimed_nor_released_and_may_become_any_other(holding):
    for status in ("paused", "A", ""):
        with holding(status=status):
            assert list_workloads(0, runtime="go").total == 1
            assert claim_workload("m") is None
            assert release_workloads(node_id="n") == 0
            assert update_workload_status("w", "pending").status == "pending"


# Moving


@pytest.fixture
def odd_rows(file_store, path):
    """What may be moved, in the open store."""
    odd = [
        {"id": f"w{number}", **values} for number, values in enumerate(foreign_rows.ODD)
        if {"soon", "", b"\xff", *foreign_rows.NUMBERS}.isdisjoint({values.get("started_at", "x")})
    ]
    foreign_rows.write(path, *odd, {"id": b"\xff1"}, {"id": "paused", "status": "paused", "timeout_s": -1})
    return file_store


@pytest.fixture
def new(tmp_path):
    """Another store, which is empty."""
    with open_store(tmp_path / "new.db", current=False) as store:
        yield store


def forms(store):
    return sorted((workload.to_dict() for workload in store.iter_workloads()), key=lambda form: form["id"])


def exported(store):
    lines = []
    export_workloads(store, lambda line: lines.append(line.encode()))
    return lines


def test_a_store_of_such_rows_goes_through_export_and_import(odd_rows, new):
    lines = exported(odd_rows)
    count, unknown = import_workloads(new, lines)
    with open_store(":memory:") as newer:
        newer.create_workloads(odd_rows.iter_workloads())

        assert forms(new) == forms(newer) == forms(odd_rows)

    assert count == len(lines) - 1
    assert {name: sorted(values) for name, values in unknown.items()} == {
        "id": [""], "status": ["paused"], "isolation": ["jail"], "runtime": ["rust"],
        "cpu_limit": [-1], "mem_limit": [-2], "timeout_s": [-3, -1], "duration_ms": [-4],
    }  # fmt: skip


def test_two_ids_that_read_alike_are_refused_by_an_import(file_store, path, new):
    foreign_rows.write(path, {"id": b"\xff1"}, {"id": b"\xfe1"})
    lines = exported(file_store)

    assert len(lines) == 3
    with pytest.raises(InvalidLineError, match="line 3: .* exists already"):
        import_workloads(new, lines)
    assert new.list_workloads().total == 0


def test_a_text_that_is_no_time_is_not_moved(holding, file_store, new):
    for name in ("created_at", "started_at", "finished_at"):
        with holding(**{name: "soon"}):
            with pytest.raises(InvalidLineError, match=f"line 2: {name} is 'soon'"):
                import_workloads(new, exported(file_store))
            with pytest.raises(InvalidWorkloadError, match=f"element 0: {name} is 'soon'"):
                new.create_workloads(iter_workloads())
            assert new.list_workloads().total == 0


def test_what_was_changed_since_it_was_read_is_checked_as_what_a_program_gives_itself(holding, new):
    with holding(runtime="rust"):
        moved = get_workload("w")
        moved.isolation = "jail"
        for refused in (moved, {"runtime": "rust"}, {"runtime": "go", "mem_limit": -1}):
            with pytest.raises(InvalidWorkloadError):
                new.create_workloads([refused])
        moved.isolation = "gvisor"
        assert new.create_workloads([moved]) == 1
        assert new.get_workload("w").runtime == "rust"


def test_a_backup_of_such_rows_is_equal(odd_rows, path, tmp_path):
    backup_store(tmp_path / "copy.db")

    assert foreign_rows.raw(tmp_path / "copy.db") == foreign_rows.raw(path)
