"""Files that are deleted, renamed or replaced while a store has them open."""

import os
import shutil
import time
from pathlib import Path

import pytest
from calls import CALLS, fill
from cases import case
from commandline import Started

from guarantees.processes import PATIENCE, in_processes, in_threads, integrity, rows
from vulcan_store import (
    StoreUnavailableError,
    Workload,
    append_log_lines,
    backup_store,
    claim_workload,
    create_workload,
    create_workloads,
    list_workloads,
    open_store,
    wait_workload,
)

INSERT = (
    "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) "
    "SELECT {}, 'pending', 'auto', 'go', '', '2026-02-18 11:12:42.123456+00:00'"
)
WRITES = {
    **{name: call for name, (word, call) in CALLS.items() if word in ("INSERT", "UPDATE", "DELETE")},
    "a release of nothing": lambda store, path: store.release_workloads(node_id="nobody"),
    "create": lambda store, path: Workload.create(runtime="go"),
    "save": lambda store, path: Workload(runtime="go").save(),
    "update": lambda store, path: Workload.update(error="lost").execute(),
    "delete": lambda store, path: Workload.delete().execute(),
    "with": lambda store, path: store.database.execute_sql(
        "WITH ids (id) AS (VALUES ('lost')) " + INSERT.format("id") + " FROM ids"
    ),
    "comment": lambda store, path: store.database.execute_sql("/* a comment */ " + INSERT.format("'lost'")),
    "table": lambda store, path: store.database.execute_sql("-- a comment\nCREATE TABLE lost (id)"),
    "script": lambda store, path: store.database.cursor().executescript("CREATE TABLE lost (id);"),
    "many": lambda store, path: store.database.cursor().executemany(INSERT.format("?"), [("lost",)]),
}


@pytest.fixture
def opened(path):
    """A store, and another file that can take the place of its own."""
    with open_store(path + ".other") as other:
        other.create_workload(runtime="go", id="theirs")
    with open_store(path) as store:
        fill(store)
        yield store


def remove(path):
    os.unlink(path)


def remove_all(path):
    for name in ("", "-wal", "-shm"):
        os.unlink(path + name)


def rename(path):
    os.rename(path, path + ".old")


def replace(path):
    os.replace(path + ".other", path)


def replace_all(path):
    remove_all(path)
    replace(path)


def take_the_wal_away(path):
    os.unlink(path + "-wal")


WAYS = {
    **dict.fromkeys([remove, remove_all, rename, replace, replace_all], "deleted or replaced"),
    take_the_wal_away: "-wal was taken away",
}
every_way = pytest.mark.parametrize("take_away, reason", WAYS.items(), ids=[way.__name__ for way in WAYS])


def content(path):
    return Path(path).read_bytes() if os.path.exists(path) else None


def assert_refused(write, path, reason):
    before = content(path)
    with pytest.raises(StoreUnavailableError, match=reason) as caught:
        write()
    assert caught.value.target == path
    assert "open it again" in caught.value.reason
    assert content(path) == before


@every_way
def test_a_file_that_was_deleted_or_replaced_while_open_takes_no_writes_that_would_be_lost(
    opened, path, take_away, reason
):
    take_away(path)

    assert_refused(lambda: create_workload(runtime="go"), path, reason)
    assert_refused(lambda: backup_store(path + ".backup"), path, reason)
    assert not os.path.exists(path + ".backup")


@pytest.mark.parametrize("take_away", [rename, take_the_wal_away])
def test_every_way_of_writing_is_refused_then(opened, path, take_away):
    take_away(path)

    for name, write in WRITES.items():
        with case(name):
            assert_refused(lambda: write(opened, path), path, WAYS[take_away])


def test_a_store_that_has_written_nothing_misses_its_wal_too(path):
    open_store(path).close()
    with open_store(path):
        take_the_wal_away(path)

        assert_refused(lambda: create_workload(runtime="go"), path, "-wal was taken away")


def open_and_close(barrier, place, path):
    open_store(path).close()


def test_a_wal_that_another_process_takes_for_left_over_is_kept_or_missed(opened, path):
    with open(path, "rb"):
        pass  # which drops the locks of this process
    in_processes(1, open_and_close, path)

    if os.path.exists(path + "-wal"):  # SQLite from 3.51 on sees that the file is in use nevertheless
        create_workload(runtime="go", id="kept")
        assert "kept" in [key for key, _ in rows(path)]
    else:
        assert_refused(lambda: create_workload(runtime="go"), path, "-wal was taken away")
    assert integrity(path) == "ok"


@pytest.mark.parametrize("above", [False, True])
def test_a_folder_that_another_takes_the_place_of_is_missed_with_the_file_in_it(tmp_path, above):
    folder = tmp_path / "releases" / "data"
    folder.mkdir(parents=True)
    path = str(folder / "vulcan.db")
    moved = folder.parent if above else folder

    with open_store(path):
        create_workload(runtime="go", id="mine")
        shutil.copytree(moved, str(moved) + ".new")
        os.rename(moved, str(moved) + ".old")
        os.rename(str(moved) + ".new", moved)

        assert_refused(lambda: create_workload(runtime="go"), path, "deleted or replaced")


def test_a_file_behind_a_link_into_another_folder_is_missed(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    path, real = str(tmp_path / "vulcan.db"), str(folder / "vulcan.db")
    os.symlink(real, path)

    with open_store(path):
        create_workload(runtime="go", id="mine")
        rename(real)

        assert_refused(lambda: create_workload(runtime="go"), path, "deleted or replaced")


@pytest.mark.parametrize("take_away", [remove, remove_all, rename])
def test_closing_and_opening_again_makes_a_new_store_where_one_was_taken_away(opened, path, take_away):
    take_away(path)

    opened.close()
    with open_store(path):
        create_workload(runtime="go", id="new")

    assert rows(path) == [("new", "pending")]
    assert integrity(path) == "ok"


@pytest.mark.parametrize("take_away", [replace, replace_all])
def test_closing_and_opening_again_reads_the_file_that_was_put_in_the_place(opened, path, take_away):
    create_workloads({"runtime": "go", "output": bytes(5000)} for _ in range(300))
    take_away(path)

    opened.close()
    for left_over in ("-wal", "-shm"):
        Path(path + left_over).unlink(missing_ok=True)
    with open_store(path):
        create_workload(runtime="go", id="new")

    assert integrity(path) == "ok"
    assert rows(path) == [("new", "pending"), ("theirs", "pending")]


def test_closing_what_was_replaced_takes_nothing_from_those_who_use_the_new_file(opened, path):
    replace_all(path)

    with open_store(path):
        create_workload(runtime="go", id="new")
        opened.close()
        create_workload(runtime="go", id="newer")

    assert [key for key, _ in rows(path)] == ["new", "newer", "theirs"]
    assert integrity(path) == "ok"


def test_a_further_connection_neither_reads_what_took_its_place_nor_makes_a_new_file(opened, path):
    with pytest.raises(ZeroDivisionError), opened.database.atomic("DEFERRED"):
        list_workloads()
        rename(path)
        with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
            in_threads(1, lambda barrier, place: list_workloads())
        raise ZeroDivisionError

    assert not os.path.exists(path)


@pytest.mark.parametrize("wait", [
    lambda: wait_workload("a", timeout=PATIENCE), lambda: claim_workload("n", wait=PATIENCE, runtime="wasm"),
], ids=["wait", "claim"])
@pytest.mark.parametrize("take_away", [remove, replace_all])
def test_a_wait_ends_when_the_file_is_taken_away(opened, path, monkeypatch, take_away, wait):
    slept = []

    def sleep(seconds):
        if not slept:
            take_away(path)
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
        wait()

    assert len(slept) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_log_that_is_followed_ends_when_the_file_is_taken_away(opened, path):
    append_log_lines("a", ["first"])
    with Started("--db", path, "logs", "--follow", "a") as following:
        assert "first" in following.stdout.readline()
        replace_all(path)
        _, error = following.communicate()

    assert following.returncode == 1
    assert "deleted or replaced" in error


@pytest.mark.parametrize("take_away", [take_the_wal_away, rename])
def test_a_transaction_during_which_the_file_was_taken_away_is_not_told_that_it_is_stored(opened, path, take_away):
    with pytest.raises(StoreUnavailableError, match=WAYS[take_away]):
        with opened.database.atomic():
            create_workload(runtime="go", id="mine")
            take_away(path)
