"""PostgreSQL as an engine, through Peewee and psycopg 3.

A connection that the server has dropped while it lay idle is replaced before anything is sent on it; a forked child
leaves its parent's alone. What was sent is never sent again.

Behind a pooler like PgBouncer the next statement may run in another session, so nothing is set for a session. A message
of several statements is one transaction, in which ``SET LOCAL`` holds for the others:
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
"""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import psycopg
from peewee import IntegrityError, Model, PeeweeException, PostgresqlDatabase

from vulcan_store.engines.contract import Convert, Engine, KeyTakenError, Ran, ReferredError
from vulcan_store.engines.cursor import Row
from vulcan_store.engines.pool import Pool
from vulcan_store.engines.postgres.driver import Connection, TimeLoader, abandon, is_in_transaction, is_usable, one_line
from vulcan_store.engines.postgres.urls import CONNECT_TIMEOUT, read_url
from vulcan_store.engines.postgres.values import PostgresContext, batches, sendable
from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")

MIGRATION_LOCK = 0x76756C63616E
"""The advisory lock that those who open a store for the first time take in turn."""
IDLE_FOR = 60.0
"""Seconds after which a connection that is idle is closed."""
BEGINS, ENDS, READS = ("BEGIN", "START"), ("COMMIT", "END"), ("SELECT", "SHOW", "EXPLAIN", "VALUES", "TABLE")
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")
_VERB = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
SAVE, RELEASE, UNDO = "SAVEPOINT vulcan", "RELEASE vulcan", "ROLLBACK TO vulcan"


class PostgresEngine(Engine, PostgresqlDatabase):
    """A PostgreSQL server."""

    context_class = PostgresContext
    errors = (psycopg.Error, PeeweeException)
    busy_timeout = CONNECT_TIMEOUT
    _adapter: Any

    def __init__(self, target: str, pragmas: Mapping[str, Any], read_only: bool) -> None:
        self.target, self._parameters, settings = read_url(target)
        self.read_only, self._lock_timeout = read_only, settings.lock_timeout
        if pragmas:
            raise StoreUnavailableError(
                self.target, f"pragmas are SQLite's; a server has none, so leave out {pragmas!r}"
            )
        # What is kept for a session is kept only where it was asked for, and never what must not fail.
        self._prepare_threshold = None if read_only else settings.prepare_threshold
        # In the order in which they have to come: the isolation before anything is read.
        self._of_session, self._of_transaction = list[str](), ["SET TRANSACTION READ ONLY"]
        if not read_only:
            self._of_transaction = [
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", f"SET LOCAL lock_timeout = {settings.lock_timeout}"
            ]
        if self._prepare_threshold is not None:
            self._of_transaction, self._of_session = [], [
                "SET default_transaction_isolation = 'read committed'", f"SET lock_timeout = {settings.lock_timeout}"
            ]
        pool: Pool[Connection] = Pool(
            self.target, self._open, psycopg.Connection.close, is_in_transaction, is_usable,
            idle_for=IDLE_FOR, size=settings.pool_size, timeout=settings.pool_timeout,
        )  # fmt: skip
        super().__init__(
            self.target, pool, prefer_psycopg3=True, isolation_level=None if read_only else "READ COMMITTED"
        )

    def _open(self, note: Callable[[Connection], None]) -> None:
        try:
            connection: Connection = psycopg.connect(
                self._parameters,
                autocommit=True,
                prepare_threshold=self._prepare_threshold,
                cursor_factory=psycopg.ClientCursor if self._prepare_threshold is None else psycopg.Cursor,
            )
            note(connection)
            connection.adapters.register_loader("timestamptz", TimeLoader)
            for statement in self._of_session:
                connection.execute(statement)
            # PgBouncer knows this setting, and keeps it for a client whatever server connection it lends.
            if not (connection.pgconn.parameter_status(b"DateStyle") or b"ISO").startswith(b"ISO"):
                connection.execute("SET DateStyle = ISO")
        except psycopg.Error as error:
            raise StoreUnavailableError(self.target, one_line(error)) from error
        if self.server_version is None:
            self._set_server_version(connection)  # type: ignore[attr-defined]

    # Statements

    def run_read(self, connection: Connection, sql: str, values: Sequence[Any] | None) -> Ran:
        verb, alone = verb_of(sql), not is_in_transaction(connection)
        before: Sequence[str] = ()
        after: Sequence[str] = ()
        if alone and verb in BEGINS:
            after = self._of_transaction[-1:]  # it says itself how it is isolated
        elif alone and (self.read_only or verb in WRITES or " FOR " in sql):  # it may lock rows
            before = self._of_transaction
        commits = verb in ENDS or alone and verb not in READS and verb not in BEGINS
        ran = self._send(connection, sql, values, commits, before, after)
        if verb in ENDS and ran[0].statusmessage == "ROLLBACK":
            raise StoreUnavailableError(
                self.target, "the transaction could only be rolled back, because a statement in it had failed"
            )
        return ran

    def run_write(self, connection: Connection, sql: str, values: Sequence[Any] | None) -> Ran:
        if not is_in_transaction(connection):
            return self.run_read(connection, sql, values)
        try:
            return self._send(connection, sql, values, False, [SAVE], [RELEASE])
        except psycopg.Error:
            # It would make the rest of the transaction impossible; back to a savepoint, it does not.
            if is_in_transaction(connection):
                self._send(connection, RELEASE, None, False, [UNDO])
            raise

    def run_any(self, connection: Connection, sql: str, values: Sequence[Any]) -> Ran:
        # As on SQLite: what somebody has caught spoils no transaction.
        changes = verb_of(sql) in (*WRITES, "CREATE", "ALTER", "DROP")
        return (self.run_write if changes else self.run_read)(connection, sql, values)

    def _run_for_each(self, connection: Connection, sql: str, rows: Sequence[Any]) -> Ran:
        writer = psycopg.ClientCursor(connection)
        return self.run_write(connection, "; ".join(writer.mogrify(sql, row) for row in rows), None)

    def _send(
        self,
        connection: Connection,
        sql: str,
        values: Sequence[Any] | None,
        commits: bool,
        before: Sequence[str],
        after: Sequence[str] = (),
    ) -> Ran:
        try:
            if before or after:
                # It puts values into the text, as a message of several statements can have no others. A comment at the
                # end of a statement ends with its line.
                cursor: psycopg.Cursor[Row] = psycopg.ClientCursor(connection)
                cursor.execute("\n; ".join([*before, sql, *after]), values)
                for _ in before:
                    cursor.nextset()
            else:
                cursor = connection.execute(sql, values)
            # Not by the cursor's description, which takes as long to make as the server takes to answer.
            return cursor, cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
        except psycopg.Error as error:
            self._close_if_lost(connection, error, commits)
            raise
        except BaseException:
            abandon(connection)
            raise

    def _close_if_lost(self, connection: Connection, error: psycopg.Error, commits: bool) -> None:
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and not self.read_only:
            connection.close()  # the server has become a standby; another of the hosts in the URL may take writes
            return
        # An error of the server's, or of a pooler's in its place, may end the connection before the end is seen.
        ends = error.diag.severity_nonlocalized in ("FATAL", "PANIC") or (error.sqlstate or "").startswith("08")
        if not (ends or connection.closed):
            return
        connection.close()
        reason = f"the connection to the server was lost ({one_line(error)})"
        if commits:
            reason += "; what was under way may or may not have been done"
        raise StoreUnavailableError(self.target, reason, maybe_done=commits) from error

    def converter_for(self, name: str, convert: Convert) -> Convert:
        field: Any = getattr(convert, "__self__", None)
        kind = getattr(field, "field_type", "TEXT")
        if kind == "BIGINT" or kind == "DATETIME" and convert == field.stored_value:
            return convert  # a time that is stored has its zone, and its column is no part of an expression
        return lambda value, *liberal: sendable(field, name, convert(value, *liberal))

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        # The rows are taken before they are sent: taking them may itself need the connection.
        sent = 0
        for batch in batches(rows):
            try:
                self._run(self._run_for_each, sql, batch)
            except IntegrityError:
                # A batch is sent as one, so which of its rows it was has to be found out one by one.
                for index, row in enumerate(batch, sent):
                    try:
                        self.write(sql, row)
                    except IntegrityError as error:
                        raise KeyTakenError(index, row) from error
            sent += len(batch)

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
        connection = self._state.borrower.connection
        return not self.ended and (connection is None or self._adapter.is_connection_usable(connection))

    # The schema

    def create_missing(self, models: Sequence[type[Model]]) -> None:
        # CREATE ... IF NOT EXISTS fails for some of several at once; the lock goes with the transaction.
        with self.whole():
            self.read("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            super().create_missing(models)

    # Errors

    def raise_translated(self, error: Exception) -> NoReturn:
        cause, kind = getattr(error, "orig", error), StoreUnavailableError
        if not isinstance(cause, psycopg.Error):
            super().raise_translated(error)
        reason = one_line(cause)
        if isinstance(cause, psycopg.errors.UniqueViolation):
            # The primary key is taken, and not what somebody else's unique index holds.
            if cause.diag.constraint_name == f"{cause.diag.table_name}_pkey":
                raise IntegrityError(cause, *cause.args) from cause
        elif isinstance(cause, psycopg.errors.ForeignKeyViolation):
            kind = ReferredError
        elif isinstance(cause, psycopg.errors.LockNotAvailable):
            reason = (
                f"somebody else has had what it needs locked for {self._lock_timeout / 1000:g} s "
                "(?lock_timeout= in the URL); nothing was changed, so try again"
            )
        elif isinstance(cause, psycopg.errors.InvalidSchemaName):
            reason = (
                "no schema of its search_path is there, or this role may not use it; CREATE SCHEMA one, GRANT USAGE, "
                "CREATE on it, or set ?options=-c%20search_path%3Dname"
            )
        raise kind(self.target, reason) from cause


@functools.lru_cache
def verb_of(sql: str) -> str:
    """The first word of a statement, in capital letters."""
    return _VERB.match(sql)[1].upper()  # type: ignore[index]
