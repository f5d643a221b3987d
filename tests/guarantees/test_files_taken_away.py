"""Files that are deleted, renamed or replaced while a store has them open."""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guarantees.processes import PATIENCE, in_processes, integrity, rows
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
    purge_workloads,
    update_workload,
    update_workload_status,
    wait_workload,
)
from vulcan_store.current import CURRENT
from vulcan_store.operations.log_tail import LogTail

WRITES = {
    "create": lambda: create_workload(runtime="go"),
    "create many": lambda: create_workloads([{"runtime": "go"}]),
    "status": lambda: update_workload_status("mine", "running"),
    "fields": lambda: update_workload("mine", output=b"x"),
    "claim": lambda: claim_workload("n"),
    "append": lambda: append_log_lines("mine", ["x"]),
    "purge": lambda: purge_workloads(datetime.now(UTC)),
}


def a_store(path, count=1):
    with open_store(path):
        create_workloads({"runtime": "go", "id": f"theirs {number}", "output": bytes(500)} for number in range(count))


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


@pytest.mark.parametrize("take_away", [remove, remove_all, rename, replace, replace_all])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_to_a_file_that_was_taken_away_is_refused_and_the_one_in_its_place_untouched(path, take_away, name):
    a_store(path + ".other")

    with open_store(path):
        create_workload(runtime="go", id="mine")
        take_away(path)
        before = Path(path).read_bytes() if os.path.exists(path) else None
        with pytest.raises(StoreUnavailableError) as caught:
            WRITES[name]()

    assert caught.value.target == path
    assert "deleted or replaced" in caught.value.reason and "open it again" in caught.value.reason
    assert (Path(path).read_bytes() if os.path.exists(path) else None) == before


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

        with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
            create_workload(runtime="go")


def test_a_file_behind_a_link_into_another_folder_is_missed(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    path, real = str(tmp_path / "vulcan.db"), str(folder / "vulcan.db")
    os.symlink(real, path)

    with open_store(path):
        create_workload(runtime="go", id="mine")
        os.rename(real, real + ".old")

        with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
            create_workload(runtime="go")


@pytest.mark.parametrize("take_away", [remove, remove_all, rename])
def test_closing_and_opening_again_makes_a_new_store_where_one_was_taken_away(path, take_away):
    store = open_store(path)
    create_workload(runtime="go", id="mine")
    take_away(path)

    store.close()
    with open_store(path):
        create_workload(runtime="go", id="new")

    assert rows(path) == [("new", "pending")]
    assert integrity(path) == "ok"


@pytest.mark.parametrize("take_away", [replace, replace_all])
def test_closing_and_opening_again_reads_the_file_that_was_put_in_the_place(path, take_away):
    a_store(path + ".other", count=300)
    theirs = rows(path + ".other")
    store = open_store(path)
    create_workloads({"runtime": "go", "id": f"mine {number}", "output": bytes(500)} for number in range(3000))
    create_workload(runtime="go", id="mine")
    take_away(path)

    store.close()
    for left_over in ("-wal", "-shm"):
        Path(path + left_over).unlink(missing_ok=True)
    with open_store(path):
        create_workload(runtime="go", id="new")

    assert integrity(path) == "ok"
    assert rows(path) == [("new", "pending"), *theirs]


def test_closing_what_was_replaced_takes_nothing_from_those_who_use_the_new_file(path):
    a_store(path + ".other")
    store = open_store(path)
    create_workload(runtime="go", id="mine")
    replace_all(path)

    with open_store(path):
        create_workload(runtime="go", id="new")
        store.close()
        create_workload(runtime="go", id="newer")

    assert [key for key, _ in rows(path)] == ["new", "newer", "theirs 0"]
    assert integrity(path) == "ok"


def test_a_further_connection_neither_reads_what_took_its_place_nor_makes_a_new_file(path):
    raised = []

    def read():
        try:
            list_workloads()
        except BaseException as error:
            raised.append(error)

    with open_store(path) as store:
        create_workload(runtime="go")
        store.database.execute_sql("BEGIN")
        rename(path)
        thread = threading.Thread(target=read)
        thread.start()
        thread.join(PATIENCE)
        store.database.execute_sql("ROLLBACK")

    (error,) = raised
    assert isinstance(error, StoreUnavailableError) and "deleted or replaced" in error.reason
    assert not os.path.exists(path)


INSERT = (
    "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) "
    "SELECT {}, 'pending', 'auto', 'go', '', '2026-02-18 11:12:42.123456+00:00'"
)


def execute_sql(sql):
    return Workload._meta.database.execute_sql(sql)


BY_PEEWEE = {
    "create": lambda: Workload.create(runtime="go"),
    "save": lambda: Workload(runtime="go").save(),
    "insert many": lambda: Workload.insert_many([{"runtime": "go", "id": "lost"}]).execute(),
    "update": lambda: Workload.update(error="lost").execute(),
    "delete": lambda: Workload.delete().execute(),
    "with": lambda: execute_sql("WITH ids (id) AS (VALUES ('lost')) " + INSERT.format("id") + " FROM ids"),
    "comment": lambda: execute_sql("/* a comment */ " + INSERT.format("'lost'")),
    "table": lambda: execute_sql("-- a comment\nCREATE TABLE lost (id)"),
    "script": lambda: Workload._meta.database.cursor().executescript("CREATE TABLE lost (id);"),
    "each of many": lambda: Workload._meta.database.cursor().executemany(INSERT.format("?"), [("lost",)]),
}


@pytest.mark.parametrize("write", BY_PEEWEE.values(), ids=BY_PEEWEE)
def test_a_write_of_peewees_own_to_a_file_that_was_taken_away_is_refused_as_well(path, write):
    with open_store(path):
        create_workload(runtime="go", id="mine")
        rename(path)

        with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
            write()
        assert os.path.exists(path) is False


@pytest.mark.parametrize("take_away", [remove, remove_all, rename, replace, replace_all])
def test_a_backup_of_a_file_that_was_taken_away_is_refused_and_leaves_nothing(path, take_away):
    a_store(path + ".other")
    with open_store(path):
        create_workload(runtime="go", id="mine")
        take_away(path)

        with pytest.raises(StoreUnavailableError, match="deleted or replaced") as caught:
            backup_store(path + ".backup")

    assert caught.value.target == path
    assert not os.path.exists(path + ".backup")


WAITS = {
    "wait": lambda: wait_workload("mine", timeout=PATIENCE),
    "claim": lambda: claim_workload("n", wait=PATIENCE, runtime="wasm"),
}


@pytest.mark.parametrize("take_away", [remove, remove_all, rename, replace, replace_all])
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_wait_ends_when_the_file_is_taken_away(path, monkeypatch, take_away, wait):
    a_store(path + ".other")
    slept = []

    def sleep(seconds):
        if not slept:
            take_away(path)
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with open_store(path):
        create_workload(runtime="go", id="mine")
        with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
            wait()

    assert len(slept) == 1


@pytest.mark.parametrize("take_away", [remove, remove_all, rename, replace, replace_all])
def test_a_log_that_is_followed_ends_when_the_file_is_taken_away(path, take_away):
    a_store(path + ".other")
    with open_store(path):
        create_workload(runtime="go", id="mine")
        append_log_lines("mine", ["first"])
        tail = LogTail(CURRENT, "mine")
        assert [line.line for line in tail.new_lines()] == ["first"]
        take_away(path)

        with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
            list(tail.new_lines())


def take_the_wal_away(path):
    os.unlink(path + "-wal")


def open_and_close(barrier, place, path):
    open_store(path).close()


def open_and_close_the_file_and_let_another_process_close_last(path):
    with open(path, "rb"):
        pass  # which drops the locks of this process
    in_processes(1, open_and_close, path)
    assert not os.path.exists(path + "-wal"), "the other process did not find itself alone"


@pytest.mark.parametrize(
    "take_away", [take_the_wal_away, open_and_close_the_file_and_let_another_process_close_last]
)
@pytest.mark.parametrize("written_before", [True, False])
@pytest.mark.parametrize("write", [*WRITES.values(), *BY_PEEWEE.values()], ids=[*WRITES, *BY_PEEWEE])
def test_a_write_to_a_store_whose_wal_was_taken_away_is_refused(path, take_away, written_before, write):
    a_store(path)
    with open_store(path):
        if written_before:
            create_workload(runtime="go", id="mine")
        take_away(path)
        before = Path(path).read_bytes()

        with pytest.raises(StoreUnavailableError, match="-wal was taken away") as caught:
            write()

        assert caught.value.target == path
        assert Path(path).read_bytes() == before


def test_a_backup_of_a_store_whose_wal_was_taken_away_is_refused_and_leaves_nothing(path):
    with open_store(path):
        create_workload(runtime="go", id="mine")
        take_the_wal_away(path)

        with pytest.raises(StoreUnavailableError, match="-wal was taken away"):
            backup_store(path + ".backup")

    assert not os.path.exists(path + ".backup")


@pytest.mark.parametrize("take_away", [take_the_wal_away, rename])
def test_a_transaction_during_which_the_file_was_taken_away_is_not_told_that_it_is_stored(path, take_away):
    with open_store(path) as store:
        with pytest.raises(StoreUnavailableError, match="taken away|deleted or replaced"):
            with store.database.atomic():
                create_workload(runtime="go", id="mine")
                take_away(path)


def test_a_store_whose_connections_were_all_closed_in_between_knows_its_new_wal(path):
    with open_store(path) as store:
        create_workload(runtime="go", id="one")
        store.database.pool.retire()
        Path(path + ".in the way").touch()  # with the number that the first had
        create_workload(runtime="go", id="two")

    assert [key for key, _ in rows(path)] == ["one", "two"]
