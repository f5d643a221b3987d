"""Pools, queries and openings around a fork: what a program does without thinking of SQLite."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest

from guarantees.processes import PATIENCE, PATIENT, forked, integrity, rows
from vulcan_store import Workload, create_workload, list_workloads, open_store, update_workload_status

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

fork = multiprocessing.get_context("fork")


def create_and_run(place):
    workload = create_workload(runtime="python", cpu_limit=place)
    update_workload_status(workload.id, "running")
    return workload.id


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def busy(path):
    """The ids that a thread makes all the while; there once the thread has ended."""
    stop, made = threading.Event(), []

    def write():
        while not stop.is_set():
            with store.database.atomic():
                ids = [create_and_run(0), create_and_run(0)]
            made.extend(ids)
            made.append(create_and_run(0))
            list_workloads(200)

    with open_store(path, pragmas=PATIENT) as store:
        writing = threading.Thread(target=write, daemon=True)
        writing.start()

        def ended():
            stop.set()
            writing.join(PATIENCE)
            assert not writing.is_alive(), "the thread hangs"
            return made

        yield ended


def assert_all_run(path, ids):
    assert rows(path) == sorted((key, "running") for key in ids)
    assert integrity(path) == "ok"


def test_processes_that_multiprocessing_forks_write_while_a_thread_of_the_parent_writes(path, busy):
    processes = [fork.Process(target=create_and_run, args=(place,)) for place in range(1, 13)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)

    assert [process.exitcode for process in processes] == [0] * 12
    theirs = [key for key, limit in rows(path, "id, cpu_limit") if limit]
    assert len(theirs) == 12
    assert_all_run(path, [*busy(), *theirs])


def test_a_pool_of_forked_processes_writes_while_a_thread_of_the_parent_writes(path, busy, effort):
    with fork.Pool(4, maxtasksperchild=5) as pool:
        theirs = pool.map_async(create_and_run, range(1, effort(31, long=101)), chunksize=1).get(PATIENCE)

    assert_all_run(path, busy() + theirs)


def test_an_executor_of_forked_processes_writes_while_a_thread_of_the_parent_writes(path, busy):
    with ProcessPoolExecutor(3, mp_context=fork) as pool:
        theirs = list(pool.map(create_and_run, range(1, 61), timeout=PATIENCE))

    assert_all_run(path, busy() + theirs)


def test_forking_often_leaves_no_descriptors_in_the_parent(path, effort):
    with open_store(path):
        made = [forked(create_and_run, 1)(), create_and_run(0)]
        before = descriptors()

        for _ in range(effort(8, long=30)):
            made += [forked(create_and_run, 1)(), create_and_run(0)]

        assert descriptors() == before
    assert_all_run(path, made)


def test_a_query_that_was_read_in_part_and_kept_keeps_no_child_from_writing(path):
    with open_store(path):
        made = [create_and_run(0) for _ in range(5)]
        query = Workload.select().order_by(Workload.id)
        rest = iter(query.clone().iterator())
        seen = [query[0].id, next(rest).id]

        made.append(forked(create_and_run, 1)())

        assert seen == made[:1] * 2
        assert [workload.id for workload in rest] == made[1:5]
    assert_all_run(path, made)


def test_a_child_opens_and_closes_stores_though_a_thread_of_the_parent_was_just_opening_one(tmp_path, effort):
    times = effort(10, long=60)
    stop = threading.Event()
    here, there = str(tmp_path / "here.db"), str(tmp_path / "there.db")
    problems = []

    def open_and_close():
        try:
            while not stop.is_set():
                open_store(there, pragmas={"synchronous": "off"}).close()
        except BaseException as error:
            problems.append(error)

    def open_one():
        with open_store(here):
            create_workload(runtime="go")

    with open_store(here):
        pass
    opening = [threading.Thread(target=open_and_close, daemon=True) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in opening:
            thread.start()
        for _ in range(times):
            forked(open_one)()
    finally:
        sys.setswitchinterval(interval)
        stop.set()
    for thread in opening:
        thread.join(PATIENCE)

    assert not any(thread.is_alive() for thread in opening)
    assert problems == []
    with open_store(here):
        assert list_workloads().total == times
