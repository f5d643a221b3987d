"""Pragmas: the defaults, each for its reason, what overrides them, and what is refused."""

import os

from cases import each
from files import refused
from guarantees.processes import in_threads

from vulcan_store import list_workloads, open_store
from vulcan_store.testing import make_workload

DEFAULTS = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}


def pragmas_of(store, names=DEFAULTS):
    return {name: store.database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in names}


@each("given, expected", [
    (None, {}),
    ({"synchronous": "normal"}, {"synchronous": 1}),
    ({"SYNCHRONOUS": "off"}, {"synchronous": 0}),
    ({"journal_mode": "delete"}, {"journal_mode": "delete"}),
    ({"journal_mode": "TRUNCATE"}, {"journal_mode": "truncate"}),
    ({"journal_mode": "persist"}, {"journal_mode": "persist"}),
    ({"journal_mode": "off"}, {"journal_mode": "off"}),
    ({"busy_timeout": 0, "foreign_keys": 0}, {"busy_timeout": 0, "foreign_keys": 0}),
    ([("foreign_keys", False)], {"foreign_keys": 0}),
    ({"cache_size": -4000}, {"cache_size": -4000}),
])
def test_what_is_given_overrides_the_defaults_on_every_connection(path, given, expected):
    with open_store(path, pragmas=given) as store, store.database.atomic():
        make_workload()

        for seen in [pragmas_of(store, [*DEFAULTS, *expected]), *in_threads(1, lambda *_: pragmas_of(store))]:
            assert seen.items() <= {**DEFAULTS, **expected}.items()


def test_memory_gets_them_too_but_has_no_wal():
    with open_store(":memory:", pragmas={"cache_size": -4000, "synchronous": "normal"}) as store:
        expected = {**DEFAULTS, "journal_mode": "memory", "synchronous": 1, "cache_size": -4000}
        assert pragmas_of(store, expected) == expected


@each("name, value", [
    ("foreign_keys", ""), ("busy_timeout", "5s"), ("busy_timeout", -1), ("busy_timeout", None),
    ("busy_timeout", True), ("busy_timeout", 2**31), ("cache_size", "1; DROP TABLE x"),
    ("locking_mode", "exclusive"), ("QUERY_ONLY", 1), ("main.locking_mode", "exclusive"), ('"query_only"', 1),
])
def test_a_value_that_cannot_be_or_that_takes_away_what_a_store_is_for_is_refused(path, name, value):
    refused(path, name.lower(), pragmas={name: value})
    refused(":memory:", name.lower(), pragmas=[(name, value)])

    assert not os.path.exists(path)


def test_the_journal_mode_of_a_file_follows_the_one_who_opens_it(path):
    open_store(path, pragmas={"journal_mode": "delete"}).close()

    with open_store(path) as store:
        assert pragmas_of(store)["journal_mode"] == "wal"


def test_the_journal_mode_may_be_set_while_it_is_open(path):
    with open_store(path) as store:
        for mode in ("delete", "wal"):
            store.database.journal_mode = mode

            make_workload()
            assert pragmas_of(store)["journal_mode"] == mode
    with open_store(":memory:") as store:
        store.database.journal_mode = "wal"
        assert in_threads(2, lambda *_: list_workloads().total) == [0, 0]


def test_a_pragma_that_is_set_again_in_other_words_has_the_last_value(path):
    with open_store(path) as store:
        store.database.pragma("FOREIGN_KEYS", 1, schema="main")
        store.database.foreign_keys = 0
        assert in_threads(2, lambda *_: store.database.foreign_keys) == [0, 0]
