"""read_only=True: reading without creating or changing anything."""

from datetime import UTC, datetime
from pathlib import Path

import peewee
import pytest
from calls import CALLS
from cases import each
from files import contents, refused, run_sql
from guarantees.processes import exit_code, write_and_die

from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload_status,
)
from vulcan_store.testing import make_workload


@pytest.fixture(params=["wal", "delete"])
def stored(path, request):
    """A file with a pending and a finished workload, closed, in either journal mode."""
    with open_store(path, pragmas={"journal_mode": request.param}):
        make_workload(id="b", status="killed", created_at=datetime(2020, 1, 1, tzinfo=UTC))
        make_workload(id="a", node_id="n", output=b"x")
    return path


def test_reading_works_and_leaves_folder_and_file_as_they_were(stored):
    run_sql(stored, "DROP INDEX idx_log_lines_workload")
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True, pragmas={"journal_mode": "wal"}) as store:
        assert get_workload("a").node_id == "n"
        assert list_workloads().total == Workload.select().count() == 2
        assert store.workload_stats().total == 2

    assert contents(Path(stored).parent) == before


WRITES = {name: call for name, (word, call) in CALLS.items() if word in ("INSERT", "UPDATE", "DELETE")}
WRITES["restore_store"] = CALLS["restore_store"][1]
PEEWEES_OWN = {
    "save": lambda: Workload(runtime="go").save(),
    "insert": lambda: Workload.insert(runtime="go").execute(),
    "update": lambda: Workload.update(node_id="m").execute(),
    "delete": lambda: Workload.delete().execute(),
    "log line": lambda: LogLine.create(workload="a", seq=0, line="x"),
}


@each("write", WRITES)
def test_every_write_is_refused(stored, tmp_path_factory, write):
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True) as store:
        with pytest.raises(StoreUnavailableError, match="read_only") as refusal:
            write(store, str(tmp_path_factory.mktemp("copy") / "copy.db"))

        assert refusal.value.target == stored
        assert refusal.value.__cause__ is None  # it was not even sent
        assert get_workload("a").__data__ == list_workloads().items[0].__data__
    assert contents(Path(stored).parent) == before


def test_a_write_that_would_write_nothing_is_refused_too(stored):
    with open_store(stored, read_only=True), pytest.raises(StoreUnavailableError, match="read_only"):
        update_workload_status("b", "killed")


@each("write", PEEWEES_OWN)
def test_every_write_of_peewees_own_is_refused_too(stored, write):
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True):
        with pytest.raises((StoreUnavailableError, peewee.OperationalError)):
            write()

        assert list_workloads().total == 2
    assert contents(Path(stored).parent) == before


def test_a_refused_write_in_a_transaction_of_ones_own_leaves_it_usable(stored):
    with open_store(stored, read_only=True) as store:
        with store.database.atomic():
            with pytest.raises(StoreUnavailableError):
                create_workload(runtime="go")

            assert list_workloads().total == 2


def test_what_others_write_meanwhile_is_seen(stored):
    with open_store(stored, read_only=True):
        run_sql(stored, "UPDATE workloads SET node_id = 'm'")

        assert get_workload("a").node_id == "m"


@pytest.mark.parametrize("link", [False, True], ids=["by its name", "by a link"])
def test_a_wal_that_a_dead_writer_left_is_read_and_left(path, tmp_path, link):
    exit_code(write_and_die, path)
    before = contents(tmp_path)
    assert before["vulcan.db-wal"]
    name = tmp_path / "links" / "link.db" if link else path
    if link:
        name.parent.mkdir()
        name.symlink_to(path)

    with open_store(name, read_only=True):
        assert [workload.id for workload in list_workloads().items] == ["last"]

    after = contents(tmp_path)
    assert [key for key in before if before[key] != after[key] and not key.endswith("-shm")] == []


def test_a_wal_that_a_writer_leaves_which_dies_meanwhile_is_left(path, tmp_path):
    open_store(path).close()
    with open_store(path, read_only=True):
        exit_code(write_and_die, path)
        before = contents(tmp_path)

    after = contents(tmp_path)
    assert before["vulcan.db-wal"]
    assert [key for key in before if before[key] != after.get(key) and not key.endswith("-shm")] == []


def test_what_holds_no_store_is_refused_and_left_alone(path, tmp_path):
    refused(":memory:", "has no table 'workloads'", read_only=True)
    refused(path, "no such file", read_only=True)
    assert contents(tmp_path) == {}
    Path(path).touch()
    refused(path, "'workloads'", read_only=True)
    assert contents(tmp_path) == {"vulcan.db": b""}
    run_sql(path, "CREATE TABLE theirs (x)")
    before = contents(tmp_path)
    refused(path, "'workloads'", read_only=True)
    assert contents(tmp_path) == before
