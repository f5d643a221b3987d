"""A file with the indexes of earlier versions: it gets those of this one, and others that have it open go on."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from vulcan_store import claim_workload, create_workload, get_workload, open_store
from vulcan_store.models.indexes import GIVEN_UP, TABLES
from vulcan_store.operations.mending import mend
from vulcan_store.testing import make_workload

EARLIER = {
    "vulcan_store_created": "(created_at, id)",
    "vulcan_store_status": "(status, created_at, id)",
    "vulcan_store_pending": "(created_at, id, isolation, runtime) WHERE status || '' = 'pending'",
    "vulcan_store_input_hash": "(input_hash, created_at, id) WHERE input_hash IS NOT NULL",
    "vulcan_store_finished": "(finished_at, id) WHERE finished_at IS NOT NULL",
    "vulcan_store_created_2": "(created_at, id, isolation, runtime)",
    "vulcan_store_status_2": "(status, created_at, id, isolation, runtime, duration_ms)",
    "vulcan_store_input_hash_2": "(input_hash, created_at, id) WHERE input_hash != ''",
}
FOREIGN = "somebodys_vulcan_store_status"
NAMES = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'workloads' AND sql IS NOT NULL"
PAGE = "SELECT id FROM workloads ORDER BY created_at DESC, id DESC"


def names(path):
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute(NAMES).fetchall()}


def add_earlier_indexes(path):
    with closing(sqlite3.connect(path)) as connection:
        for name, rest in EARLIER.items():
            connection.execute(f"CREATE INDEX {name} ON workloads {rest}")


@pytest.fixture
def earlier(path):
    """The path of a file as an earlier version left it, with an index of somebody else's."""
    with open_store(path):
        for number in range(300):
            make_workload(id=f"w{number:03}")
    with closing(sqlite3.connect(path)) as connection:
        for name in names(path):
            connection.execute(f"DROP INDEX {name}")
        connection.execute(f"CREATE INDEX {FOREIGN} ON workloads (status, created_at, id)")
    add_earlier_indexes(path)
    return path


def test_every_index_of_an_earlier_version_is_given_up_by_name():
    assert set(GIVEN_UP) == set(EARLIER)


def test_opening_for_writing_puts_new_indexes_in_the_place_of_earlier_ones(earlier, tmp_path):
    open_store(tmp_path / "new.db").close()

    open_store(earlier).close()

    assert names(earlier) == {*names(tmp_path / "new.db"), FOREIGN}


def test_opening_only_to_read_leaves_earlier_indexes(earlier):
    with open_store(earlier, read_only=True):
        assert get_workload("w000").id == "w000"

    assert names(earlier) == {*EARLIER, FOREIGN}


def test_each_earlier_index_is_dropped_in_a_transaction_of_its_own(path):
    left = []
    with open_store(path) as store:
        add_earlier_indexes(path)
        store.database.query_hooks.append(
            lambda event: left.append(len(names(path) & set(EARLIER))) if event.sql.startswith("DROP") else None
        )

        mend(store.database)

    assert left == list(reversed(range(len(EARLIER))))


def test_each_new_index_is_made_in_a_transaction_of_its_own(earlier):
    made = []
    with open_store(earlier) as store:
        new = names(earlier) - {FOREIGN}
        with closing(sqlite3.connect(earlier)) as connection:
            for name in new:
                connection.execute(f"DROP INDEX {name}")
        store.database.query_hooks.append(
            lambda event: made.append(len(names(earlier) & new)) if event.sql.startswith("CREATE INDEX") else None
        )

        store.database.ensure_schema(TABLES)

        assert names(earlier) == {*new, FOREIGN}
    assert made == list(range(len(new)))


@pytest.mark.parametrize("table", ["log_lines", "workloads"])
def test_a_file_that_lacks_one_of_the_tables_gets_it_with_its_indexes(earlier, tmp_path, table):
    with open_store(tmp_path / "new.db") as store:
        wanted = store.database.table_and_index_names()
    with closing(sqlite3.connect(earlier)) as connection:
        connection.execute(f"DROP TABLE {table}")

    with open_store(earlier) as store:
        assert store.database.table_and_index_names() - {FOREIGN} == wanted


def test_an_index_that_cannot_be_made_now_is_left_to_the_next_opening(earlier):
    with closing(sqlite3.connect(earlier, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with open_store(earlier, pragmas={"busy_timeout": 50}):
            found = get_workload("w000").id
        other.execute("ROLLBACK")
    left = names(earlier)

    open_store(earlier).close()

    assert (found, left) == ("w000", {*EARLIER, FOREIGN})
    assert names(earlier).isdisjoint(EARLIER)


def test_others_that_have_the_file_open_go_on_while_indexes_change(earlier):
    with closing(sqlite3.connect(earlier, isolation_level=None)) as other:
        half_read = other.execute(PAGE)
        first = half_read.fetchone()

        with open_store(earlier):
            rest = half_read.fetchall()
            create_workload(id="new", runtime="go")
            other.execute("UPDATE workloads SET status = 'failed' WHERE id = 'w000'")
            newest = other.execute(PAGE).fetchone()
            claimed = claim_workload("n")

    assert [key for (key,) in [first, *rest]] == [f"w{number:03}" for number in reversed(range(300))]
    assert newest == ("new",)
    assert claimed.id == "w001"


def test_a_store_that_was_open_before_goes_on_without_the_indexes_that_another_drops(path):
    with open_store(path) as store:
        add_earlier_indexes(path)
        store.create_workload(id="a", runtime="go")
        store.list_workloads(status="pending")

        open_store(path, current=False).close()

        store.create_workload(id="b", runtime="go")
        assert [workload.id for workload in store.list_workloads(status="pending").items] == ["b", "a"]
        assert names(path).isdisjoint(EARLIER)
