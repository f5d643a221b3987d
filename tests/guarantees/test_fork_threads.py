"""Forks in the middle of an opening, and forks that are interrupted: nobody is kept from going on."""

import gc
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from guarantees.processes import HURRIED, PATIENCE, forked, in_threads, rows
from vulcan_store import StoreUnavailableError, create_workload, open_store

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def unraisable(monkeypatch):
    """What is raised where Python can only report it, in the hooks of a fork for one."""
    raised = Counter()
    monkeypatch.setattr(sys, "unraisablehook", lambda what: raised.update([type(what.exc_value)]))
    return raised


def create():
    return create_workload(runtime="go").id


def test_a_child_opens_stores_though_threads_of_the_parent_were_just_opening_some_or_restoring_one(
    tmp_path, unraisable, effort
):
    stop = threading.Event()

    def open_and_close(barrier, place):
        while not stop.is_set():
            with open_store(tmp_path / f"{place}.db", pragmas=HURRIED) as store:
                if place == 0:
                    store.restore_store(tmp_path / "copy.db")

    def work():
        with open_store(tmp_path / "other.db", pragmas=HURRIED):
            create()
        return create()

    interval = sys.getswitchinterval()
    with open_store(tmp_path / "main.db", pragmas=HURRIED) as store, ThreadPoolExecutor() as threads:
        store.backup_store(tmp_path / "copy.db")
        opening = threads.submit(in_threads, 3, open_and_close)
        sys.setswitchinterval(1e-6)
        try:
            made = [forked(work)() for _ in range(effort(3, long=60))]
        finally:
            sys.setswitchinterval(interval)
            stop.set()
        opening.result(PATIENCE)

    assert [key for key, _ in rows(tmp_path / "main.db")] == made
    assert len(rows(tmp_path / "other.db")) == len(made)
    assert not unraisable


def test_a_fork_that_is_interrupted_at_any_moment_keeps_nobody_from_going_on(path, unraisable, effort):
    def interrupt(frame, event, argument):
        nonlocal left
        if event in events and frame.f_globals["__name__"].startswith("vulcan_store."):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    def go_on(barrier, place):
        open_store(f"{path}-other", current=False).close()
        return create() and forked(create)()

    events = effort(["call"], long=["call", "c_return"])
    moment = left = 0
    with open_store(path, pragmas=HURRIED):
        while left == 0:
            create()
            moment += effort(7, long=1)
            left = moment
            sys.setprofile(interrupt)
            child = forked(lambda: (sys.setprofile(None), create()))
            sys.setprofile(None)
            try:
                child()
            except StoreUnavailableError:
                pass
            assert go_on(None, 0) and in_threads(1, go_on)
    gc.collect()  # here, where it is no fault that one which was just being closed is closed by its end
    assert unraisable.total() > 2
