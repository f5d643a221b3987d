"""PostgreSQL as an engine, through Peewee and psycopg 3.

A connection that the server has dropped while it lay idle is replaced before anything is sent on it; a forked child
leaves its parent's alone. What was sent is never sent again.
"""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NoReturn, Self, TypeVar

import psycopg
from peewee import IntegrityError, Model, PeeweeException, PostgresqlDatabase

from vulcan_store.engines.contract import Convert, Engine, Ran, ReferredError
from vulcan_store.engines.pool import Pool
from vulcan_store.engines.postgres.driver import Connection, abandon, is_in_transaction, is_usable, set_up
from vulcan_store.engines.postgres.statements import Sender, is_change, one_line, rows_of
from vulcan_store.engines.postgres.urls import CONNECT_TIMEOUT, read_url
from vulcan_store.engines.postgres.values import PostgresContext, batches, sendable
from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")

MIGRATION_LOCK = 0x76756C63616E
"""The advisory lock that those who open a store for the first time take in turn."""
IDLE_FOR = 60.0
"""Seconds after which a connection that is idle is closed."""


class PostgresEngine(Engine, PostgresqlDatabase):
    """A PostgreSQL server."""

    context_class = PostgresContext
    errors = (psycopg.Error, PeeweeException)
    patience = CONNECT_TIMEOUT
    _adapter: Any

    @classmethod
    def from_target(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> Self:
        return cls(target, pragmas, read_only)

    def __init__(self, target: str, pragmas: Mapping[str, Any], read_only: bool) -> None:
        self.target, self._parameters, settings = read_url(target)
        self.read_only, self._lock_timeout = read_only, settings.lock_timeout
        if pragmas:
            raise StoreUnavailableError(
                self.target, f"pragmas are SQLite's; a server has none, so leave out {pragmas!r}"
            )
        # What is kept for a session is kept only where it was asked for, and never what must not fail.
        self._prepare_threshold = None if read_only else settings.prepare_threshold
        self._of_session, of_transaction = list[str](), ["SET TRANSACTION READ ONLY"]
        if not read_only:
            of_transaction = [
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", f"SET LOCAL lock_timeout = {settings.lock_timeout}"
            ]
        if self._prepare_threshold is not None:
            of_transaction, self._of_session = [], [
                "SET default_transaction_isolation = 'read committed'", f"SET lock_timeout = {settings.lock_timeout}"
            ]
        self.sender = Sender(self.target, read_only, of_transaction)
        self.pool: Pool[Connection] = Pool(
            self.target, self._open, lambda connection: connection.close(), is_in_transaction, is_usable,
            max_idle=settings.pool_size, idle_for=IDLE_FOR, size=settings.pool_size, timeout=settings.pool_timeout,
        )  # fmt: skip
        super().__init__(self.target, prefer_psycopg3=True, isolation_level=None if read_only else "READ COMMITTED")

    def _open(self, note: Callable[[Connection], None]) -> None:
        try:
            connection: Connection = psycopg.connect(
                self._parameters,
                autocommit=True,
                prepare_threshold=self._prepare_threshold,
                cursor_factory=psycopg.ClientCursor if self._prepare_threshold is None else psycopg.Cursor,
            )
            note(connection)
            set_up(connection, self._of_session)
        except psycopg.Error as error:
            raise StoreUnavailableError(self.target, one_line(error)) from error
        if self.server_version is None:
            self._set_server_version(connection)  # type: ignore[attr-defined]

    def after_fork_in_child(self) -> None:
        # A fork does no harm to the parent's connections, so nothing is waited for and nothing closed.
        self.pool.keep_inherited()
        self.pool.begin(os.getpid())
        self.forget_threads()

    # Statements

    def run_read(self, connection: Connection, sql: str, values: Sequence[Any]) -> Ran:
        cursor = self.sender.execute(connection, sql, values)
        return cursor, rows_of(cursor)

    def run_write(self, connection: Connection, sql: str, values: Sequence[Any]) -> Ran:
        if not is_in_transaction(connection):
            return self.run_read(connection, sql, values)
        # An error would make the rest of the transaction impossible; back to a savepoint, it does not.
        cursor = self.sender.execute_in_savepoint(connection, sql, values)
        return cursor, rows_of(cursor)

    def run_any(self, connection: Connection, sql: str, values: Sequence[Any]) -> Ran:
        # As on SQLite: what somebody has caught spoils no transaction.
        return (self.run_write if is_change(sql) else self.run_read)(connection, sql, values)

    def converter_for(self, name: str, convert: Convert) -> Convert:
        field = getattr(convert, "__self__", None)
        name = getattr(field, "name", name)
        return lambda value, *liberal: sendable(field, name, convert(value, *liberal))

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        # The rows are taken before they are sent: taking them may itself need the connection.
        sent = 0
        for batch in batches(rows):
            try:
                self._run(self._run_for_each, sql, batch)
            except IntegrityError:
                # A batch is sent as one, so which of its rows it was has to be found out one by one.
                self.write_each(sql, batch, sent)
            sent += len(batch)

    def _run_for_each(self, connection: Connection, sql: str, rows: Sequence[Any]) -> Ran:
        return self.sender.execute_for_each(connection, sql, rows), []

    def read_together(self, connection: Connection, work: Callable[[], T]) -> T:
        if is_in_transaction(connection):
            return work()
        try:
            connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            found = work()
            connection.execute("ROLLBACK")
            return found
        except BaseException:
            abandon(connection)  # which ends it too; the error that led here is the one to be seen
            raise

    def is_connection_usable(self) -> bool:
        """As in Peewee; outside of a transaction a connection that the server has dropped is replaced."""
        connection = self.borrower().connection
        return not self.ended and (connection is None or self._adapter.is_connection_usable(connection))

    # The schema

    def table_and_index_names(self) -> set[str]:
        tables = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
        indexes = "SELECT indexname FROM pg_catalog.pg_indexes WHERE schemaname = current_schema()"
        return {name for (name,) in self.read(f"{tables} UNION ALL {indexes}")}

    def _create_missing(self, models: Sequence[type[Model]], there: Set[str]) -> None:
        try:
            super()._create_missing(models, there)
        except StoreUnavailableError as error:
            # Only a table's owner may make an index; everything works without it, if more slowly.
            complete = all(model._meta.table_name in there for model in models)
            if not (complete and isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege)):
                raise

    def _create(self, models: Sequence[type[Model]]) -> None:
        # CREATE ... IF NOT EXISTS fails for some of several at once; the lock goes with the transaction.
        self.read("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        super()._create(models)

    # Copies

    def backup(self, path: str, progress: Callable[[int, int, int], object] | None = None) -> None:
        raise StoreUnavailableError(self.target, "a server is backed up by its own pg_dump, which writes a copy too")

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        raise StoreUnavailableError(self.target, "what pg_dump wrote is restored by a server's own pg_restore")

    def vacuum(self) -> int:
        raise StoreUnavailableError(self.target, "a server gives room back by its own VACUUM, and does so by itself")

    # Errors

    def raise_translated(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if isinstance(cause, psycopg.errors.UniqueViolation):
            # The primary key is taken, and not what somebody else's unique index holds.
            if cause.diag.constraint_name == f"{cause.diag.table_name}_pkey":
                raise IntegrityError(cause, *cause.args) from cause
        if isinstance(cause, psycopg.errors.ForeignKeyViolation):
            raise ReferredError(self.target, one_line(cause)) from cause
        if isinstance(cause, psycopg.Error):
            raise StoreUnavailableError(self.target, self._reason(cause)) from cause
        super().raise_translated(error)

    def _reason(self, cause: psycopg.Error) -> str:
        if isinstance(cause, psycopg.errors.LockNotAvailable):
            return (
                f"somebody else has had what it needs locked for {self._lock_timeout / 1000:g} s "
                "(?lock_timeout= in the URL); nothing was changed, so try again"
            )
        if isinstance(cause, psycopg.errors.InvalidSchemaName):
            return (
                "no schema of its search_path is there, or this role may not use it; CREATE SCHEMA one, GRANT USAGE, "
                "CREATE on it, or set ?options=-c%20search_path%3Dname"
            )
        return one_line(cause)
