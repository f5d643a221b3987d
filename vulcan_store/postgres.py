"""PostgreSQL as an engine, through Peewee and psycopg 3.

Every thread has a connection of its own, as in Peewee. What is added here: it is closed when its thread ends and when
the store closes; a child that is forked leaves its parent's alone; and one that the server has dropped is replaced
before anything is sent on it. What was sent is never sent again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from peewee import IntegrityError, Model, PeeweeException, PostgresqlDatabase, _ConnectionLocal
from playhouse import db_url

from vulcan_store.engine import READ_ONLY, Engine, KeyTakenError, without_password
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.postgres_values import PostgresContext, batches, without_nul
from vulcan_store.prepared import Convert, Row, until
from vulcan_store.psycopg_connection import Adapter, Connection, driver

T = TypeVar("T")

CONNECT_TIMEOUT = 5
"""Seconds that connecting may take, unless the URL has a ``connect_timeout``."""
MIGRATION_LOCK = 0x76756C63616E
"""The advisory lock that those who open a store for the first time take in turn."""

_databases: weakref.WeakSet[PostgresEngine] = weakref.WeakSet()


class PostgresEngine(PostgresqlDatabase, Engine):
    """A PostgreSQL server."""

    psycopg3_adapter = Adapter
    context_class = PostgresContext
    # Text has the order of its bytes, as in SQLite, whatever the database's own collation.
    field_types = {
        **PostgresqlDatabase.field_types, "TEXT": 'TEXT COLLATE "C"', "DATETIME": "TIMESTAMPTZ", "AUTO": "BIGSERIAL"
    }

    @classmethod
    def of(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> PostgresEngine:
        shown = without_password(target)
        if pragmas:
            raise StoreUnavailableError(shown, f"pragmas are SQLite's; a server has none, so leave out {pragmas!r}")
        try:
            parameters = db_url.parse(target, unquote_password=True, unquote_user=True)
            if "@" in urlsplit(target).path:
                raise ValueError("an @ behind the host")
        except ValueError as error:
            raise StoreUnavailableError(
                shown, "its host or port cannot be read; write characters like / and @ in a password as %2F and %40"
            ) from error
        if not parameters["database"]:
            raise StoreUnavailableError(shown, "it names no database; write it behind the host: //host:port/name")
        session = f"{parameters.pop('options', '')} -c TimeZone=UTC"
        if read_only:
            session += " -c default_transaction_read_only=on"
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT)
        return cls(parameters.pop("database"), shown, read_only, options=session.strip(), **parameters)

    def __init__(self, name: str, target: str, read_only: bool, **parameters: Any) -> None:
        self.target, self.read_only = target, read_only
        self.ended = False
        self._adapter: Any
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        super().__init__(name, prefer_psycopg3=True, **parameters)
        self._lock = threading.RLock()
        _databases.add(self)

    def _connect(self) -> Connection:
        if self.ended:
            raise StoreUnavailableError(self.target, "it was closed; call open_store() to open it again")
        connection: Connection = super()._connect()  # type: ignore[misc]
        self.connections.add(connection)
        return connection

    def connection(self) -> Connection:
        """The calling thread's connection; opens it if need be, or if the server has dropped it."""
        connection: Connection | None = self._state.conn
        if connection is not None and connection.is_usable():
            return connection
        if self._state.transactions:
            raise StoreUnavailableError(self.target, "the connection was lost, and the transaction with it")
        self._state.reset()
        try:
            self.connect()
        except PeeweeException as error:
            self.fail(error)
        opened: Connection = self._state.conn
        return opened

    def cursor(self, named_cursor: bool | None = None) -> Any:
        connection = self.connection()
        return self._adapter.server_side_cursor(connection) if named_cursor else connection.cursor()

    def rollback(self) -> None:
        # A transaction that was lost with its connection is rolled back already; the error to be seen is the first.
        if self._state.conn is not None and self._state.conn.is_usable():
            super().rollback()

    def start(self) -> None:
        self.connection()

    def shutdown(self) -> None:
        with self._lock:
            self.ended = True
            connections = list(self.connections)
        for connection in connections:
            with connection.lock_of_calls:
                connection.close()
        self._state.reset()
        _databases.discard(self)

    def begin_anew(self) -> None:
        """After a fork, in the child: a lock and connections of its own."""
        self._lock = threading.RLock()
        self._state = _ConnectionLocal()
        self.connections = weakref.WeakSet()

    def adapt(self, name: str, convert: Convert) -> Convert:
        def adapted(value: Any) -> Any:
            converted = convert(value)
            return without_nul(name, converted) if type(converted) is str else converted

        return adapted

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        connection = self.connection()
        try:
            with connection.lock_of_calls:
                cursor = connection.execute(sql, values)
                # Not by the cursor's description, which takes as long to make as the server takes to answer.
                return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
        except driver.Error as error:
            self.fail(error)

    def read_part(self, sql: str, values: Sequence[Any], column: int, most: int) -> list[Row]:
        connection = self.connection()
        try:
            with connection.lock_of_calls, contextlib.closing(connection.cursor()) as cursor:
                return until(cursor.stream(sql, values), column, most)
        except driver.Error as error:
            self.fail(error)

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        connection = self.connection()
        if connection.is_idle():
            return self.read(sql, values)
        # An error would make the rest of the transaction impossible; back to a savepoint, it does not.
        with connection.transaction():
            return self.read(sql, values)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        # The rows are taken before they are sent: taking them may itself need the connection.
        sent = 0
        for batch in batches(rows):
            try:
                with self.connection().transaction(), self.connection().cursor() as cursor:
                    cursor.executemany(sql, batch)
            except driver.errors.UniqueViolation:
                self._name_taken(sql, batch, sent)
            except driver.Error as error:
                self.fail(error)
            sent += len(batch)

    def _name_taken(self, sql: str, batch: list[Sequence[Any]], first: int) -> None:
        # A batch is sent as one, so which of its rows it was has to be found out one by one.
        for index, row in enumerate(batch, first):
            try:
                self.write(sql, row)
            except IntegrityError as error:
                raise KeyTakenError(index, row) from error

    def snapshot(self, work: Callable[[], T]) -> T:
        connection = self.connection()
        if not connection.is_idle():
            return work()
        with connection.lock_of_calls:
            self.read("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return work()
            finally:
                if not connection.closed:
                    self.read("ROLLBACK")

    def together(self, work: Callable[[], T]) -> T:
        connection = self.connection()
        try:
            with connection.lock_of_calls, connection.transaction():
                result = work()
        except driver.Error as error:
            self.fail(error)
        self.require_writable()
        return result

    def names(self) -> set[str]:
        tables = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
        indexes = "SELECT indexname FROM pg_catalog.pg_indexes WHERE schemaname = current_schema()"
        return {name for (name,) in self.read(f"{tables} UNION ALL {indexes}")}

    def _create(self, models: Sequence[type[Model]]) -> None:
        # CREATE ... IF NOT EXISTS fails for some of several at once; the lock goes with the transaction.
        self.read("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        super()._create(models)

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        raise StoreUnavailableError(self.target, "a server is backed up by its own pg_dump, which writes a copy too")

    def fail(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if isinstance(cause, driver.errors.UniqueViolation):
            raise IntegrityError(cause, *cause.args) from cause
        reason = " ".join(str(cause).split())
        if isinstance(cause, driver.errors.ReadOnlySqlTransaction) and self.read_only:
            reason = READ_ONLY
        elif self._state.conn is not None and self._state.conn.closed:
            reason += "; what was under way may or may not have been done"
        raise StoreUnavailableError(self.target, reason) from cause


def _after_fork_in_child() -> None:
    for database in list(_databases):
        database.begin_anew()


os.register_at_fork(after_in_child=_after_fork_in_child)
