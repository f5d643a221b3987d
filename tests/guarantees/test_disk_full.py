"""A disk that fills up while the store is written."""

import resource
import sqlite3

import pytest
from files import refused
from workloads import ids

from guarantees.processes import in_processes, integrity, rows
from vulcan_store import (
    StoreUnavailableError,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
)

LARGE = bytes(200_000)


def write_until_the_limit(barrier, place, path, in_transaction):
    """Fill a file that may not grow, and write once more when it may again; the ids that are there then."""
    made = []

    def fill():
        while True:
            made.append(create_workload(runtime="go", output=bytes(20_000)).id)

    with open_store(path) as store:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
        with pytest.raises(StoreUnavailableError) as caught:
            if in_transaction:
                with store.database.atomic():
                    fill()
            fill()
        assert caught.value.target == path
        assert "I/O" in str(caught.value.__cause__) or "full" in str(caught.value.__cause__)
        kept = [] if in_transaction else made
        assert list_workloads(0).total == len(kept)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return [*kept, create_workload(runtime="go", output=bytes(500_000)).id]


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_file_that_may_not_grow_refuses_the_write_keeps_what_was_acknowledged_and_works_again(path, in_transaction):
    (made,) = in_processes(1, write_until_the_limit, path, in_transaction)

    assert [key for key, _ in rows(path)] == sorted(made)
    assert len(made) > 5 or in_transaction
    assert integrity(path) == "ok"


@pytest.fixture
def small(path):
    """A store on a file that may not grow much more; after the test it has room again, and has to work."""
    with open_store(path, pragmas={"max_page_count": 40}) as store:
        create_workload(runtime="go", id="acknowledged")
        yield store
        assert rows(path, "id, status, error") == [("acknowledged", "pending", "")]
        store.database.execute_sql("PRAGMA max_page_count = 100000").fetchall()
        create_workload(runtime="go", id="afterwards", output=LARGE)
        assert ids() == ["acknowledged", "afterwards"]
        assert integrity(path) == "ok"


def create_large():
    create_workload(runtime="go", id="large", output=LARGE)


def say_full(path, write):
    with pytest.raises(StoreUnavailableError, match="full") as caught:
        write()
    assert caught.value.target == path
    cause = getattr(caught.value.__cause__, "orig", caught.value.__cause__)
    assert isinstance(cause, sqlite3.OperationalError)
    assert cause.sqlite_errorname == "SQLITE_FULL"


def test_a_call_that_finds_no_room_says_so_has_written_nothing_and_the_store_is_still_read(small, path, tmp_path):
    say_full(path, create_large)
    say_full(path, lambda: update_workload("acknowledged", status="completed", output=LARGE))
    refused(tmp_path / "other.db", "room", pragmas={"max_page_count": 2})

    assert get_workload("acknowledged").status == "pending"


@pytest.mark.parametrize("depth", [1, 2])
def test_a_transaction_that_finds_no_room_raises_that_and_all_is_undone(small, path, depth):
    def transact(depth):
        with small.database.atomic():
            create_workload(runtime="go", id=f"before {depth}")
            transact(depth - 1) if depth > 1 else create_large()

    say_full(path, lambda: transact(depth))


AFTERWARDS = {
    "create": lambda store: Workload.create(runtime="go", id="after"),
    "update": lambda store: Workload.update(error="after").execute(),
    "read": lambda store: list(Workload.select()),
    "sql": lambda store: store.database.execute_sql("DELETE FROM workloads"),
    "function": lambda store: create_workload(runtime="go", id="after"),
    "nested": lambda store: store.database.atomic().__enter__(),
}


@pytest.mark.parametrize("go_on", [None, *AFTERWARDS.values()], ids=["nothing", *AFTERWARDS])
def test_a_transaction_that_sqlite_rolled_back_refuses_what_follows_and_does_not_end_as_if_stored(small, go_on):
    with pytest.raises(StoreUnavailableError, match="rolled back"):
        with small.database.atomic():
            create_workload(runtime="go", id="before")
            with pytest.raises(StoreUnavailableError, match="full"):
                create_large()
            if go_on:
                with pytest.raises(StoreUnavailableError, match="rolled back"):
                    go_on(small)
