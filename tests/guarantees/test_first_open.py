"""Many who open the same path at the same instant."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

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


def index_names(path):
    with closing(sqlite3.connect(path)) as connection:
        return [name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")]


def test_sixteen_processes_that_open_a_new_path_at_the_same_instant_all_succeed(tmp_path, effort):
    paths = [str(tmp_path / f"{number}.db") for number in range(effort(3, long=20))]

    made = in_processes(16, open_at_once, paths)

    for path, ids in zip(paths, zip(*made, strict=True), strict=True):
        assert [key for key, _ in rows(path)] == sorted(ids)
        assert integrity(path) == "ok"
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, paths))


def test_processes_that_open_a_file_of_the_server_at_the_same_instant_all_succeed(tmp_path, effort):
    paths = [str(tmp_path / f"{number}.db") for number in range(effort(2, long=10))]
    for path in paths:
        run_sql(path, server_file.SCHEMA)

    made = in_processes(8, open_at_once, paths)

    with open_store(tmp_path / "new.db"):
        wanted = index_names(tmp_path / "new.db")
    for path, ids in zip(paths, zip(*made, strict=True), strict=True):
        assert [key for key, _ in rows(path)] == sorted(ids)
        assert sorted(index_names(path)) == sorted(wanted)


def test_sixteen_threads_that_open_a_new_path_at_the_same_instant_all_succeed(tmp_path, effort):
    for number in range(effort(2, long=20)):
        assert in_threads(16, open_once, tmp_path / f"{number}.db") == [("wal",)] * 16

    assert len(os.listdir(tmp_path)) == number + 1
