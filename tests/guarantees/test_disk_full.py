"""A disk that fills up while the store is written."""

from __future__ import annotations

import sqlite3

import pytest

from guarantees.processes import integrity, rows, run
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

UNTIL_THE_LIMIT = """
import resource, sys
from vulcan_store import StoreUnavailableError, create_workload, list_workloads, open_store
path, how = sys.argv[1:]
store = open_store(path)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
made = []
def fill():
    while True:
        made.append(create_workload(runtime="go", output=bytes(20_000)).id)
try:
    if how == "call":
        fill()
    with store.database.atomic():
        fill()
except StoreUnavailableError as error:
    assert error.target == path, error
    assert "I/O" in str(error.__cause__) or "full" in str(error.__cause__), error.__cause__
    print("refused", len(made), file=sys.stderr)
else:
    sys.exit("it was not refused")
if how == "call":
    print(*made, sep="\\n")
assert list_workloads(0).total == (len(made) if how == "call" else 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(create_workload(runtime="go", output=bytes(500_000)).id)
store.close()
"""


@pytest.fixture
def small(path):
    """A store on a file that may not grow much more."""
    with open_store(path, pragmas={"max_page_count": 40}) as store:
        create_workload(runtime="go", id="acknowledged")
        yield store


def make_room(store):
    store.database.execute_sql("PRAGMA max_page_count = 100000").fetchall()


def assert_says_full(error, path):
    assert error.target == path
    assert "room" in error.reason
    cause = getattr(error.__cause__, "orig", error.__cause__)
    assert isinstance(cause, sqlite3.OperationalError)
    assert cause.sqlite_errorname == "SQLITE_FULL"


def assert_works_again(store, path):
    make_room(store)
    create_workload(runtime="go", id="afterwards", output=LARGE)
    assert [key for key, _ in rows(path)] == ["acknowledged", "afterwards"]
    assert integrity(path) == "ok"


@pytest.mark.parametrize("how", ["call", "transaction"])
def test_a_file_that_may_not_grow_refuses_the_write_keeps_what_was_acknowledged_and_works_again(path, how):
    done = run(UNTIL_THE_LIMIT, path, how)

    made = done.stdout.split()
    assert sorted(key for key, _ in rows(path)) == sorted(made)
    assert len(made) > 5 or how == "transaction"
    assert integrity(path) == "ok"


def test_a_call_that_finds_no_room_says_so_and_has_written_nothing(small, path):
    with pytest.raises(StoreUnavailableError) as created:
        create_workload(runtime="go", id="large", output=LARGE)
    with pytest.raises(StoreUnavailableError) as updated:
        update_workload("acknowledged", status="completed", output=LARGE)

    assert_says_full(created.value, path)
    assert_says_full(updated.value, path)
    assert rows(path) == [("acknowledged", "pending")]
    assert_works_again(small, path)


def test_a_transaction_that_finds_no_room_raises_that_and_is_undone(small, path):
    with pytest.raises(StoreUnavailableError) as caught:
        with small.database.atomic():
            create_workload(runtime="go", id="before")
            create_workload(runtime="go", id="large", output=LARGE)

    assert_says_full(caught.value, path)
    assert_works_again(small, path)


def test_a_nested_transaction_that_finds_no_room_raises_that_and_all_is_undone(small, path):
    with pytest.raises(StoreUnavailableError) as caught:
        with small.database.atomic():
            create_workload(runtime="go", id="before")
            with small.database.atomic():
                create_workload(runtime="go", id="large", output=LARGE)

    assert_says_full(caught.value, path)
    assert_works_again(small, path)


def test_a_transaction_that_goes_on_after_it_found_no_room_is_told_that_it_is_over(small, path):
    with pytest.raises(StoreUnavailableError) as caught:
        with small.database.atomic():
            create_workload(runtime="go", id="before")
            with pytest.raises(StoreUnavailableError):
                create_workload(runtime="go", id="large", output=LARGE)
            create_workload(runtime="go", id="after")

    assert "rolled back" in caught.value.reason
    assert_works_again(small, path)


def test_a_transaction_that_found_no_room_does_not_end_as_if_it_had_been_stored(small, path):
    with pytest.raises(Exception, match="rolled back|no transaction"):
        with small.database.atomic():
            create_workload(runtime="go", id="before")
            with pytest.raises(StoreUnavailableError):
                create_workload(runtime="go", id="large", output=LARGE)

    assert_works_again(small, path)


def test_a_full_store_is_still_read(small, path):
    with pytest.raises(StoreUnavailableError):
        create_workload(runtime="go", output=LARGE)

    assert get_workload("acknowledged").status == "pending"
    assert list_workloads().total == 1


def test_a_new_file_for_which_there_is_no_room_leaves_the_current_store_current(small, path, tmp_path):
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(tmp_path / "other.db", pragmas={"max_page_count": 2})

    assert caught.value.target == str(tmp_path / "other.db")
    assert "room" in caught.value.reason
    assert get_workload("acknowledged").id == "acknowledged"


AFTERWARDS = {
    "create": lambda store: Workload.create(runtime="go", id="after"),
    "insert many": lambda store: Workload.insert_many([{"runtime": "go", "id": "after"}]).execute(),
    "update": lambda store: Workload.update(error="after").execute(),
    "delete": lambda store: Workload.delete().execute(),
    "read": lambda store: list(Workload.select()),
    "sql": lambda store: store.database.execute_sql("DELETE FROM workloads"),
    "function": lambda store: create_workload(runtime="go", id="after"),
    "nested": lambda store: store.database.atomic().__enter__(),
}


@pytest.mark.parametrize("go_on", AFTERWARDS.values(), ids=AFTERWARDS)
def test_whatever_goes_on_in_a_transaction_that_sqlite_rolled_back_is_refused(small, path, go_on):
    with pytest.raises(StoreUnavailableError, match="rolled back"):
        with small.database.atomic():
            create_workload(runtime="go", id="before")
            with pytest.raises(StoreUnavailableError):
                create_workload(runtime="go", id="large", output=LARGE)
            with pytest.raises(StoreUnavailableError, match="rolled back"):
                go_on(small)

    assert rows(path, "id, error") == [("acknowledged", "")]
    assert_works_again(small, path)
