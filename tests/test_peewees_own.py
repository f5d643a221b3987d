"""What Peewee's users rely on: seeing each statement, registering functions, and its connection methods."""

import logging
import os
from contextlib import closing

import peewee
import pytest
from calls import CALLS, STATEMENTS, fill
from cases import each
from guarantees.processes import in_threads
from workloads import everything

import vulcan_store
from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    WorkloadExistsError,
    create_workload,
    iter_workloads,
    open_store,
)


@each("name", STATEMENTS)
def test_query_hooks_and_the_logger_of_peewee_see_the_statements_of_a_function(store, caplog, name):
    caplog.clear()
    fill(store)
    seen, (word, call), before = [], CALLS[name], everything()
    store.database.query_hooks.append(seen.append)

    # Whoever looks at the values takes none away.
    with caplog.at_level(logging.DEBUG, logger="peewee"), caplog.filtering(lambda record: (*record.msg[1], True)):
        call(vulcan_store, None)

    assert any(event.sql.startswith(word) for event in seen)
    assert all(event.duration >= 0 and event.exception is None for event in seen)
    assert {event.sql for event in seen} <= {record.msg[0] for record in caplog.records}
    assert word == "SELECT" or everything() != before


@each("name", [name for name in STATEMENTS if CALLS[name][0] != "SELECT"])
def test_what_a_function_wrote_is_taken_back_with_a_transaction_of_ones_own(store, name):
    fill(store)
    before = everything()

    with pytest.raises(ZeroDivisionError), store.database.atomic():
        CALLS[name][1](store, None)
        assert everything() != before
        1 / 0

    assert everything() == before


def test_a_hook_sees_what_went_wrong_and_the_error_stays_the_same(store):
    create_workload(id="w1", runtime="go")
    seen = []
    store.database.query_hooks.append(seen.append)

    with pytest.raises(WorkloadExistsError):
        create_workload(id="w1", runtime="go")

    assert [event.params[0] for event in seen if event.exception is not None] == ["w1"]


@pytest.fixture(params=["memory", "file"])
def sqlite(request, path):
    with open_store(":memory:" if request.param == "memory" else path) as store:
        yield store


def ask(store, sql, count=4):
    """The answers to a query on several connections, all open at once."""
    def ask_one(together, place):
        store.database.begin("DEFERRED")
        try:
            together.wait(60)
            return store.database.execute_sql(sql).fetchone()[0]
        finally:
            store.database.rollback()

    return in_threads(count, ask_one)


class Longest:
    def __init__(self):
        self.found = ""

    def step(self, text):
        self.found = max(self.found, text, key=len)

    def finalize(self):
        return self.found


PAIRS = "(SELECT 'b' AS x UNION ALL SELECT 'aaa')"


@pytest.mark.parametrize("add, sql, answer", [
    (lambda own, path: own.register_function(lambda text: text[::-1], "back", 1), "SELECT back('abc')", "cba"),
    (lambda own, path: own.register_collation(lambda one, other: len(one) - len(other), "by_length"),
     f"SELECT x FROM {PAIRS} ORDER BY x COLLATE by_length", "b"),
    (lambda own, path: own.register_aggregate(Longest, "longest", 1), f"SELECT longest(x) FROM {PAIRS}", "aaa"),
    (lambda own, path: own.attach(path, "other"), "SELECT id FROM other.workloads", "there"),
], ids=["function", "collation", "aggregate", "attached file"])
def test_what_is_registered_reaches_every_connection_those_that_are_open_too(sqlite, tmp_path, add, sql, answer):
    with open_store(tmp_path / "other.db", current=False) as other:
        other.create_workload(id="there", runtime="go")
    ask(sqlite, "SELECT 1")

    add(sqlite.database, str(tmp_path / "other.db"))

    assert ask(sqlite, sql) == [answer] * 4


def test_what_is_registered_reaches_the_connection_of_a_transaction_once_that_is_over(sqlite):
    with sqlite.database.atomic():
        in_threads(1, lambda *_: sqlite.database.register_function(lambda: 7, "seven", 0))

    assert ask(sqlite, "SELECT seven()") == [7] * 4


def test_an_attached_file_stays_the_same_when_the_process_changes_its_folder(sqlite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sqlite.database.attach("other.db", "other")
    sqlite.database.execute_sql("CREATE TABLE other.mine (x)")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")

    assert ask(sqlite, "SELECT COUNT(*) FROM other.mine") == [0] * 4
    assert os.listdir() == []


def test_what_cannot_be_registered_is_not_tried_again(sqlite):
    for add in (
        lambda: sqlite.database.attach("/nowhere/x.db", "other"),
        lambda: sqlite.database.register_function(len, "a\0b", 1),
    ):
        with pytest.raises((peewee.OperationalError, ValueError)):
            add()

        assert ask(sqlite, "SELECT 1") == [1] * 4


def test_what_is_taken_away_is_gone_from_every_connection(sqlite, tmp_path):
    sqlite.database.register_function(lambda text: text[::-1], "back", 1)
    sqlite.database.attach(str(tmp_path / "other.db"), "other")
    ask(sqlite, "SELECT back('abc')")

    sqlite.database.unregister_function("back")
    sqlite.database.detach("other")

    for sql in ("SELECT back('abc')", "SELECT * FROM other.sqlite_master"):
        with pytest.raises(peewee.OperationalError, match="no such"):
            ask(sqlite, sql)


def test_connect_and_close_change_nothing(store):
    create_workload(id="a", runtime="go")
    database = store.database

    assert (database.connect(), database.connect(reuse_if_open=True), database.close()) == (False, False, False)
    assert not database.is_closed()
    with database.connection_context():
        create_workload(id="b", runtime="go")
    with database.atomic():
        database.connect()
        database.close()
        create_workload(id="c", runtime="go")

    assert sorted(found.id for found in iter_workloads()) == ["a", "b", "c"]


def test_a_closed_store_has_no_connections(path):
    with open_store(path) as store:
        pass

    with pytest.raises(StoreUnavailableError, match="it was closed; call open_store"):
        store.database.connection()
    assert store.database.is_closed()


def test_a_connection_is_there_inside_a_transaction_and_elsewhere_it_says_so(store):
    with pytest.raises(StoreUnavailableError, match="one statement or one transaction") as refusal:
        store.database.connection()

    assert "store.database.atomic()" in refusal.value.reason
    with store.database.atomic():
        create_workload(id="a", runtime="go")
        cursor = store.database.connection().cursor()
        cursor.execute("SELECT id FROM workloads")
        assert cursor.fetchall() == [("a",)]
    with pytest.raises(StoreUnavailableError):
        store.database.connection()


def test_the_models_work_in_a_peewee_database_of_ones_own():
    database = peewee.SqliteDatabase(":memory:")
    with closing(database), database.bind_ctx([Workload, LogLine]):
        database.create_tables([Workload, LogLine])
        made = Workload.create(id="a", runtime="go", node_id="n", input_hash="h")
        made.error = "broken"
        saved = made.save()
        stored = Workload.get_by_id("a")

    assert (saved, stored.error, stored.input_hash) == (1, "broken", "h")
