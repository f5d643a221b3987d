"""Many who open the same path at the same instant."""

import os
import sqlite3
from contextlib import closing

import pytest
import server_file
from files import run_sql

from guarantees.processes import HURRIED, PATIENCE, in_processes, in_threads, integrity, rows
from vulcan_store import create_workload, open_store


def open_at_once(barrier, place, paths):
    made = []
    for path in paths:
        barrier.wait(PATIENCE)
        store = open_store(path, pragmas=HURRIED)
        made.append(create_workload(runtime="go").id)
        barrier.wait(PATIENCE)
        store.close()
    return made


def open_once(barrier, place, path):
    barrier.wait(PATIENCE)
    store = open_store(path, pragmas=HURRIED)
    version = store.database.execute_sql("PRAGMA journal_mode").fetchone()
    barrier.wait(PATIENCE)
    store.close()
    return version


def schema(path):
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute("SELECT type, name FROM sqlite_master").fetchall())


@pytest.mark.parametrize("tables", ["", server_file.SCHEMA], ids=["new", "the server's"])
def test_sixteen_processes_that_open_a_new_path_at_the_same_instant_all_succeed(tmp_path, effort, tables):
    paths = [str(tmp_path / f"{number}.db") for number in range(effort(1, long=20))]
    if tables:
        for path in paths:
            run_sql(path, tables)

    made = in_processes(16, open_at_once, paths)

    for path, ids in zip(paths, zip(*made, strict=True), strict=True):
        assert [key for key, _ in rows(path)] == sorted(ids)
        assert integrity(path) == "ok"
        assert schema(path) == schema(paths[0]) and len(schema(path)) > 6
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, paths))


def test_sixteen_threads_that_open_a_new_path_at_the_same_instant_all_succeed(tmp_path, effort):
    for number in range(effort(1, long=20)):
        assert in_threads(16, open_once, tmp_path / f"{number}.db") == [("wal",)] * 16

    assert len(os.listdir(tmp_path)) == number + 1
