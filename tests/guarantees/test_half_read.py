"""Queries that were begun and not read to their end: they hold no lock and no snapshot."""

import sqlite3
from contextlib import closing

import pytest
from files import run_sql

from guarantees.processes import in_threads, rows
from vulcan_store import Workload, create_workload, create_workloads, get_workload, iter_workloads, open_store

COUNT = 300


@pytest.fixture
def opened(path):
    with open_store(path, pragmas={"busy_timeout": 0}) as store:
        create_workloads({"runtime": "go", "id": f"{number:03}"} for number in range(COUNT))
        yield store


def commit_elsewhere(path):
    run_sql(path, "UPDATE workloads SET node_id = 'theirs' WHERE id = '299'")


def kept_traceback():
    try:
        query = Workload.select()
        for workload in query:
            raise ZeroDivisionError(workload)
    except ZeroDivisionError as error:
        return error


def query_with_an_item_read():
    query = Workload.select()
    assert query[0]
    return query


def rest_of(iterator):
    next(iterator)
    return iterator


HALF_READ = {
    "item": query_with_an_item_read,
    "iterator": lambda: rest_of(iter(Workload.select().iterator())),
    "query": lambda: rest_of(iter(Workload.select())),
    "iter_workloads": lambda: rest_of(iter_workloads()),
    "traceback": kept_traceback,
    "returning": lambda: rest_of(iter(Workload.update(error="mine").returning(Workload.id).execute())),
}


@pytest.mark.parametrize("begin", HALF_READ.values(), ids=HALF_READ)
def test_a_half_read_query_lets_others_commit_and_its_own_thread_read_that_and_write(opened, path, begin):
    half_read = begin()

    commit_elsewhere(path)
    assert get_workload("299").node_id == "theirs"
    create_workload(runtime="go", id="mine")

    assert len(rows(path)) == COUNT + 1
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert half_read is not None


def test_a_loop_over_a_query_of_peewees_updates_what_it_walks_over(opened, path):
    for workload in Workload.select().order_by(Workload.id):
        if workload.id == "150":
            commit_elsewhere(path)
        Workload.update(error="seen").where(Workload.id == workload.id).execute()

    assert rows(path, "error") == [("seen",)] * COUNT


def test_a_half_read_query_in_memory_keeps_no_other_thread_from_writing():
    with open_store(":memory:", pragmas={"busy_timeout": 0}):
        create_workloads({"runtime": "go"} for _ in range(COUNT))
        half_read = rest_of(iter(Workload.select().iterator()))

        (made,) = in_threads(1, lambda barrier, place: create_workload(runtime="go").id)

        assert get_workload(made).id == made
        assert next(half_read).runtime == "go"
