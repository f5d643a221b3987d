"""Files that are deleted, renamed or replaced while a store has them open."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guarantees.processes import PATIENCE, integrity, rows
from vulcan_store import (
    StoreUnavailableError,
    append_log_lines,
    claim_workload,
    create_workload,
    create_workloads,
    list_workloads,
    open_store,
    purge_workloads,
    update_workload,
    update_workload_status,
)

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
        with store.database.atomic("DEFERRED"):
            list_workloads()
            rename(path)
            thread = threading.Thread(target=read)
            thread.start()
            thread.join(PATIENCE)

    (error,) = raised
    assert isinstance(error, StoreUnavailableError) and "deleted or replaced" in error.reason
    assert not os.path.exists(path)
