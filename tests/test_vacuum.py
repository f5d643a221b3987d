"""A file that was purged is made small again, unless somebody is in the way."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from commandline import vulcan

from vulcan_store import (
    StoreUnavailableError,
    create_workload,
    create_workloads,
    get_workload,
    open_store,
    purge_workloads,
)
from vulcan_store.engines.sqlite.pragmas import PRAGMAS

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def purged(path):
    """A store of which most was deleted, so that its file has a megabyte of room."""
    store = open_store(path, pragmas=[("synchronous", "off"), ("busy_timeout", 100)])
    create_workloads(
        {"runtime": "go", "status": "completed", "created_at": LONG_AGO, "output": b"x" * 10_000} for _ in range(100)
    )
    create_workload(id="kept", runtime="go", output=b"kept")
    purge_workloads(datetime(2021, 1, 1, tzinfo=UTC))
    return store


def pages(store):
    return store.database.execute_sql("PRAGMA page_count").fetchone()[0]


def test_a_store_in_memory_is_vacuumed_too():
    with purged(":memory:") as store:
        assert store.database.vacuum() > 900_000
        assert get_workload("kept").output == b"kept"


def test_a_vacuum_is_refused_while_somebody_else_is_writing(path):
    with purged(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailableError, match="it is locked"):
            store.database.vacuum()

        assert pages(store) > 200
        other.execute("ROLLBACK")
        assert store.database.vacuum() > 900_000


def test_a_vacuum_beside_a_reader_gives_the_room_back_when_nobody_reads_the_old_state_any_more(path):
    with purged(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM workloads").fetchall()

        assert store.database.vacuum() > 900_000

        assert other.execute("SELECT output FROM workloads").fetchall() == [(b"kept",)]
        other.execute("COMMIT")

    assert os.path.getsize(path) < 100_000


def test_a_vacuum_is_refused_within_a_transaction(path):
    with purged(path) as store:
        with store.database.atomic():
            with pytest.raises(StoreUnavailableError) as refusal:
                store.database.vacuum()
            create_workload(id="in it", runtime="go")

        assert "within a transaction" in refusal.value.reason
        assert get_workload("in it").runtime == "go"


def test_a_read_only_store_is_not_vacuumed(path):
    open_store(path).close()

    with open_store(path, read_only=True) as store, pytest.raises(StoreUnavailableError, match="read_only"):
        store.database.vacuum()


def test_a_server_says_that_it_vacuums_by_itself(postgres_target):
    with open_store(postgres_target) as store:
        with pytest.raises(StoreUnavailableError, match="by its own VACUUM"):
            store.database.vacuum()


def test_the_command_says_how_much_was_given_back(path):
    purged(path).close()

    done = vulcan("--db", path, "vacuum")
    again = vulcan("--db", path, "vacuum")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" given back\n")
    assert not done.stdout.startswith("0 ")
    assert again.stdout == "0 bytes given back\n"
    assert os.path.getsize(path) < 100_000


def test_a_wal_that_grew_shrinks_again(path):
    with open_store(path, pragmas={"synchronous": "off"}) as store:
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM workloads").fetchall()
        create_workloads({"runtime": "go", "output": b"x" * 1_000_000} for _ in range(20))
        grown = os.path.getsize(path + "-wal")
        reader.close()

        store.database.execute_sql("PRAGMA wal_checkpoint")
        create_workload(runtime="go")

        assert grown > PRAGMAS["journal_size_limit"]
        assert os.path.getsize(path + "-wal") <= PRAGMAS["journal_size_limit"]
