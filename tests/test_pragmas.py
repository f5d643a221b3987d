"""Pragmas: the defaults, each for its reason, and what overrides them."""

from __future__ import annotations

import os
import threading

import pytest

from vulcan_store import StoreUnavailableError, open_store
from vulcan_store.testing import make_workload

DEFAULTS = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}


def pragmas_of(store):
    return {name: store.database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in DEFAULTS}


def test_a_file_gets_the_defaults(path):
    with open_store(path) as store:
        assert pragmas_of(store) == DEFAULTS


def test_memory_gets_the_defaults_but_has_no_wal():
    with open_store(":memory:") as store:
        assert pragmas_of(store) == {**DEFAULTS, "journal_mode": "memory"}


def test_every_thread_gets_them(path):
    seen = []
    with open_store(path) as store:
        thread = threading.Thread(target=lambda: seen.append(pragmas_of(store)))
        thread.start()
        thread.join()

    assert seen == [DEFAULTS]


@pytest.mark.parametrize("given, expected", [
    ({"synchronous": "normal"}, {"synchronous": 1}),
    ({"SYNCHRONOUS": "off"}, {"synchronous": 0}),
    ({"journal_mode": "delete"}, {"journal_mode": "delete"}),
    ({"journal_mode": "TRUNCATE"}, {"journal_mode": "truncate"}),
    ({"busy_timeout": 100}, {"busy_timeout": 100}),
    ({"busy_timeout": 0, "foreign_keys": 0}, {"busy_timeout": 0, "foreign_keys": 0}),
    ({"foreign_keys": False}, {"foreign_keys": 0}),
], ids=str)
def test_what_is_given_overrides_them(path, given, expected):
    with open_store(path, pragmas=given) as store:
        make_workload()

        assert pragmas_of(store) == {**DEFAULTS, **expected}


@pytest.mark.parametrize("mode", ["persist", "truncate", "off"])
def test_the_journal_mode_is_that_of_every_connection(path, mode):
    modes = []
    with open_store(path, pragmas={"journal_mode": mode}) as store:
        thread = threading.Thread(target=lambda: modes.append(pragmas_of(store)["journal_mode"]))
        thread.start()
        thread.join()

        assert modes == [pragmas_of(store)["journal_mode"]] == [mode]


@pytest.mark.parametrize("name, value", [
    ("foreign_keys", "maybe"), ("foreign_keys", ""), ("foreign_keys", 2), ("synchronous", "ful"), ("synchronous", 4),
    ("journal_mode", "wall"), ("busy_timeout", "5s"), ("busy_timeout", -1), ("no_such_pragma", 1),
], ids=str)
def test_a_value_or_name_that_sqlite_would_pass_over_is_refused_and_no_file_made(path, name, value):
    with pytest.raises(StoreUnavailableError, match=name):
        open_store(path, pragmas={name: value})

    assert not os.path.exists(path)


@pytest.mark.parametrize("target", [":memory:", "vulcan.db"])
def test_other_pragmas_can_be_set(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)

    with open_store(target, pragmas={"cache_size": -4000}) as store:
        assert store.database.execute_sql("PRAGMA cache_size").fetchone() == (-4000,)


def test_the_journal_mode_of_a_file_follows_the_one_who_opens_it(path):
    open_store(path, pragmas={"journal_mode": "delete"}).close()

    with open_store(path) as store:
        assert pragmas_of(store)["journal_mode"] == "wal"


def test_the_callers_mapping_is_left_alone(path):
    given = {"Busy_Timeout": 100}

    open_store(path, pragmas=given).close()

    assert given == {"Busy_Timeout": 100}
