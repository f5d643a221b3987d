"""A store's database is Peewee's: blocks, sessions, cursors, the schema and types of one's own models."""

from datetime import UTC, datetime

import peewee
import pytest
from playhouse.postgres_ext import DateTimeTZField
from postgres_server import execute

from vulcan_store import StoreUnavailableError, Workload, create_workload, open_store


@pytest.fixture
def database(store):
    return store.database


@pytest.fixture
def note(database):
    """A model of one's own, with its table."""
    class Note(peewee.Model):
        text = peewee.TextField(unique=True)

        class Meta:
            table_name = "own_notes"

    Note.bind(database)
    database.create_tables([Note])
    yield Note
    database.drop_tables([Note])


def texts(model):
    return [text for (text,) in model.select(model.text).order_by(model.id).tuples()]


def test_sessions_within_a_block_end_before_it_as_in_peewee(database, note):
    with database.atomic():
        database.session_start()
        note.create(text="1")
        database.session_commit()
        note.create(text="2")
        database.session_rollback()
        database.session_start()
        note.create(text="3")

    assert texts(note) == ["1", "3"]
    assert not database.in_transaction()
    with database.atomic():
        note.create(text="4")
    assert texts(note) == ["1", "3", "4"]


def test_a_session_that_an_error_finds_open_within_a_block_is_rolled_back_with_it(database, note):
    with pytest.raises(ZeroDivisionError), database.atomic():
        note.create(text="1")
        database.session_start()
        database.session_commit()
        database.session_rollback()
        database.session_start()
        note.create(text="2")
        1 / 0

    assert texts(note) == ["1"]
    assert not database.in_transaction()


def test_a_write_of_ones_own_that_is_refused_spoils_no_transaction(database, note):
    with database.atomic():
        note.create(text="1")
        with pytest.raises(peewee.IntegrityError):
            note.create(text="1")
        with pytest.raises(peewee.DatabaseError):
            database.execute_sql("/* one's own */ CREATE UNIQUE INDEX own_notes_missing ON own_notes (missing)")
        create_workload(id="a", runtime="go")

    assert (texts(note), Workload.get_by_id("a").runtime) == (["1"], "go")


def test_its_connections_are_usable_until_it_is_closed(workload_store):
    database = workload_store.database

    assert database.is_connection_usable()
    with database.atomic():
        assert database.is_connection_usable()
    workload_store.close()
    assert not database.is_connection_usable()


def test_a_connection_on_which_a_read_has_failed_is_not_usable_on_a_server(postgres_target):
    with open_store(postgres_target, current=False) as store:
        with pytest.raises(StoreUnavailableError, match="could only be rolled back"), store.database.atomic():
            with pytest.raises(peewee.ProgrammingError):
                store.database.execute_sql("SELECT missing FROM workloads")
            assert not store.database.is_connection_usable()
        assert store.database.is_connection_usable()


def test_times_of_ones_own_models_come_from_a_server_as_peewee_has_them(postgres_target):
    class Visit(peewee.Model):
        at = DateTimeTZField()

        class Meta:
            table_name = "own_visits"

    moment = datetime(2001, 2, 3, 20, 30, tzinfo=UTC)
    with open_store(postgres_target) as store:
        plain = peewee.PostgresqlDatabase(postgres_target, prefer_psycopg3=True)
        rows = []
        for database in (store.database, plain):
            Visit.bind(database)
            Visit.create_table(safe=True)
            Visit.create(at=moment)
            day = Visit.select(peewee.fn.date_trunc("day", Visit.at)).tuples()
            rows.append([(when.isoformat(), when.utcoffset()) for when, in day])
        plain.close()
        create_workload(id="a", runtime="go", created_at=moment)
        oldest, = store.database.execute_sql("SELECT min(created_at) FROM workloads").fetchone()
        assert oldest == moment and Workload.get_by_id("a").created_at.tzinfo is UTC

    assert rows[1] == rows[0] * 2


def test_columns_of_ones_own_models_have_peewees_types_on_a_server(postgres_target):
    class Kinds(peewee.Model):
        text, number, time = peewee.TextField(), peewee.BigIntegerField(), peewee.DateTimeField()

        class Meta:
            table_name = "own_kinds"

    with open_store(postgres_target) as store:
        store.database.create_tables([Kinds])
        kinds = {column.name: column.data_type for column in store.database.get_columns("own_kinds")}

    assert kinds == {
        "id": "integer", "text": "text", "number": "bigint", "time": "timestamp without time zone",
    }  # fmt: skip


def test_an_update_that_begins_with_a_comment_is_one_to_a_server_too(postgres_target, postgres):
    with open_store(postgres_target) as store:
        create_workload(id="a", runtime="go")
        found = store.database.execute_sql(
            "/* one's own */ -- and\n UPDATE workloads SET node_id = current_setting('lock_timeout') RETURNING node_id"
        )
        assert found.fetchone() == ("5s",)
    assert execute(postgres, "SHOW lock_timeout") == [("0",)]
