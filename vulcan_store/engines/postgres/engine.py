"""PostgreSQL as an engine, through Peewee and psycopg 3.

A connection that the server has dropped while it lay idle is replaced before anything is sent on it; a forked child
leaves its parent's alone. What was sent is never sent again.
"""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from peewee import IntegrityError, Model, PeeweeException, PostgresqlDatabase
from playhouse import db_url  # pyright: ignore[reportAttributeAccessIssue]

from vulcan_store.engines import forks
from vulcan_store.engines.contract import (
    READ_ONLY,
    Convert,
    Engine,
    take_until_bytes,
    without_password,
)
from vulcan_store.engines.cursor import Row
from vulcan_store.engines.pool import Pool
from vulcan_store.engines.postgres.driver import driver, is_in_transaction, is_usable
from vulcan_store.engines.postgres.values import PostgresContext, batches, without_nul
from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")

CONNECT_TIMEOUT = 5
"""Seconds that connecting may take, unless the URL has a ``connect_timeout``."""
MIGRATION_LOCK = 0x76756C63616E
"""The advisory lock that those who open a store for the first time take in turn."""
MAX_IDLE, POOL_SIZE, POOL_TIMEOUT = 2, 10, 30.0
"""How many connections are kept idle, how many there are at most, and seconds that a caller waits for one."""


class PostgresEngine(Engine, PostgresqlDatabase):
    """A PostgreSQL server."""

    context_class = PostgresContext
    # Text has the order of its bytes, as in SQLite, whatever the database's own collation.
    field_types = {
        **PostgresqlDatabase.field_types, "TEXT": 'TEXT COLLATE "C"', "DATETIME": "TIMESTAMPTZ", "AUTO": "BIGSERIAL"
    }

    @classmethod
    def from_target(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> PostgresEngine:
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
        size = _positive(target, "pool_size", parameters.pop("pool_size", POOL_SIZE), int)
        timeout = _positive(target, "pool_timeout", parameters.pop("pool_timeout", POOL_TIMEOUT), float)
        self.pool: Pool[driver.Connection[Row]] = Pool(
            target, self._open, self._close_connection, is_in_transaction, is_usable,
            max_idle=min(MAX_IDLE, size), size=size, timeout=timeout,
        )  # fmt: skip
        super().__init__(name, prefer_psycopg3=True, **parameters)

    def _open(self) -> driver.Connection[Row]:
        try:
            connection: driver.Connection[Row] = PostgresqlDatabase._connect(self)  # type: ignore[attr-defined]
        except driver.Error as error:
            self.fail(error)
        if self.server_version is None:
            self._set_server_version(connection)  # type: ignore[attr-defined]
        return connection

    def _close_connection(self, connection: driver.Connection[Row]) -> None:
        connection.close()

    def start(self) -> None:
        forks.watch(self)
        self.ended = False
        self.run(lambda connection: None)

    def shutdown(self) -> None:
        self.close_pool(CONNECT_TIMEOUT)
        forks.unwatch(self)

    # A fork does no harm to the parent's connections, so nothing is waited for and nothing closed.

    def before_fork(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    def after_fork_in_parent(self) -> None:
        pass

    def after_fork_in_child(self) -> None:
        self.pool.keep_inherited()
        self.pool.begin(os.getpid())
        self.forget_threads()

    def execute_whole(
        self, connection: driver.Connection[Row], sql: str, values: Sequence[Any]
    ) -> tuple[driver.Cursor[Row], list[Row]]:
        cursor = connection.execute(sql, values)
        return cursor, _rows_of(cursor)

    def converter_for(self, name: str, convert: Convert) -> Convert:
        def adapted(value: Any) -> Any:
            converted = convert(value)
            return without_nul(name, converted) if type(converted) is str else converted

        return adapted

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            if self.is_watched():
                return self.execute_sql(sql, values).fetchall()
            return self.run(_fetch, sql, values)
        except (driver.Error, PeeweeException) as error:
            self.fail(error)

    def read_limited(self, sql: str, values: Sequence[Any], bytes_column: int, max_bytes: int) -> list[Row]:
        def fetch(connection: driver.Connection[Row]) -> list[Row]:
            with contextlib.closing(connection.cursor()) as cursor:
                return take_until_bytes(cursor.stream(sql, values), bytes_column, max_bytes)

        try:
            with self.shown(sql, values):
                return self.run(fetch)
        except driver.Error as error:
            self.fail(error)

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        self.require_writable()
        if not self.is_transaction_open():
            return self.read(sql, values)

        # An error would make the rest of the transaction impossible; back to a savepoint, it does not.
        def within(connection: driver.Connection[Row]) -> list[Row]:
            with connection.transaction():
                return self.read(sql, values)

        return self.run(within)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        def send(connection: driver.Connection[Row], batch: list[Sequence[Any]]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(sql, batch)

        if self.is_watched():
            self.write_each(sql, rows)
            return
        # The rows are taken before they are sent: taking them may itself need the connection.
        sent = 0
        for batch in batches(rows):
            try:
                self.run(send, batch)
            except driver.errors.UniqueViolation:
                # A batch is sent as one, so which of its rows it was has to be found out one by one.
                self.write_each(sql, batch, sent)
            except driver.Error as error:
                self.fail(error)
            sent += len(batch)

    def snapshot(self, work: Callable[[], T]) -> T:
        def transact(connection: driver.Connection[Row]) -> T:
            if is_in_transaction(connection):
                return work()
            connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return work()
            finally:
                if not connection.closed:
                    connection.execute("ROLLBACK")

        try:
            return self.run(transact)
        except driver.Error as error:
            self.fail(error)

    def atomically(self, work: Callable[[], T]) -> T:
        def transact(connection: driver.Connection[Row]) -> T:
            transaction = self.transaction()
            with connection.transaction():
                self.push_transaction(transaction)
                try:
                    return work()
                finally:
                    if transaction in self._state.transactions:
                        self._state.transactions.remove(transaction)

        self.require_writable()
        try:
            result = self.run(transact)
        except driver.Error as error:
            self.fail(error)
        if not self._state.transactions:
            self._run_commit_callbacks()
        return result

    def table_and_index_names(self) -> set[str]:
        tables = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
        indexes = "SELECT indexname FROM pg_catalog.pg_indexes WHERE schemaname = current_schema()"
        return {name for (name,) in self.read(f"{tables} UNION ALL {indexes}")}

    def _create(self, models: Sequence[type[Model]]) -> None:
        # CREATE ... IF NOT EXISTS fails for some of several at once; the lock goes with the transaction.
        self.read("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        super()._create(models)

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        raise StoreUnavailableError(self.target, "a server is backed up by its own pg_dump, which writes a copy too")

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        raise StoreUnavailableError(self.target, "a server is restored by its own pg_restore, or by import")

    def fail(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if isinstance(cause, driver.errors.UniqueViolation):
            raise IntegrityError(cause, *cause.args) from cause
        reason = " ".join(str(cause).split())
        if isinstance(cause, driver.errors.ReadOnlySqlTransaction) and self.read_only:
            reason = READ_ONLY
        # An error without a code is not one that the server has sent.
        lost = isinstance(cause, driver.OperationalError) and cause.sqlstate is None and not self.ended
        if lost:
            reason += "; what was under way may or may not have been done"
        raise StoreUnavailableError(self.target, reason) from cause


def _fetch(connection: driver.Connection[Row], sql: str, values: Sequence[Any]) -> list[Row]:
    return _rows_of(connection.execute(sql, values))


def _rows_of(cursor: driver.Cursor[Row]) -> list[Row]:
    # Not by the cursor's description, which takes as long to make as the server takes to answer.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


def _positive(target: str, name: str, text: Any, kind: type[Any]) -> Any:
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if not 0 < number < 10**6:
        raise StoreUnavailableError(target, f"?{name}={text} in its URL must be a number above 0")
    return number
