"""PostgreSQL as an engine, through Peewee and psycopg 3: its statements and its transactions.

A connection that the server has dropped while it lay idle is replaced before anything is sent on it; a forked child
leaves its parent's alone. What was sent is never sent again.
"""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from peewee import IntegrityError, PeeweeException

from vulcan_store.engines.contract import Convert
from vulcan_store.engines.cursor import Row
from vulcan_store.engines.postgres.driver import Connection, driver, is_in_transaction
from vulcan_store.engines.postgres.server import ServerDatabase
from vulcan_store.engines.postgres.statements import rows_of
from vulcan_store.engines.postgres.values import batches, sendable
from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")


class PostgresEngine(ServerDatabase):
    """A PostgreSQL server."""

    def execute_whole(
        self, connection: Connection, sql: str, values: Sequence[Any]
    ) -> tuple[driver.Cursor[Row], list[Row]]:
        cursor = self.sender.execute(connection, sql, values)
        return cursor, rows_of(cursor)

    def _fetch(self, connection: Connection, sql: str, values: Sequence[Any]) -> list[Row]:
        return rows_of(self.sender.execute(connection, sql, values))

    def _fetch_in_savepoint(self, connection: Any, sql: str, values: Sequence[Any]) -> list[Row]:
        return rows_of(self.sender.execute_in_savepoint(connection, sql, values))

    def converter_for(self, name: str, convert: Convert) -> Convert:
        field = getattr(convert, "__self__", None)
        name = getattr(field, "name", name)
        return lambda value, *liberal: sendable(field, name, convert(value, *liberal))

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            if self.is_watched():
                return self.execute_sql(sql, values).fetchall()
            return self.run(self._fetch, sql, values)
        except (driver.Error, PeeweeException) as error:
            self.fail(error)

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        self.require_writable()
        if not self.is_transaction_open():
            return self.read(sql, values)
        try:
            # An error would make the rest of the transaction impossible; back to a savepoint, it does not.
            with self.shown(sql, values):
                return self.run(self._fetch_in_savepoint, sql, values)
        except driver.Error as error:
            self.fail(error)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        if not self.is_transaction_open():
            return self.atomically(lambda: self.write_many(sql, rows))
        if self.is_watched():
            return self.write_each(sql, rows)
        # The rows are taken before they are sent: taking them may itself need the connection.
        sent = 0
        for batch in batches(rows):
            try:
                self.run(self.sender.execute_for_each, sql, batch)
            except driver.errors.UniqueViolation:
                # A batch is sent as one, so which of its rows it was has to be found out one by one.
                self.write_each(sql, batch, sent)
            except driver.Error as error:
                self.fail(error)
            sent += len(batch)

    # Transactions

    def snapshot(self, work: Callable[[], T]) -> T:
        def transact(connection: Connection) -> T:
            if is_in_transaction(connection):
                return work()
            try:
                connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                return work()
            finally:
                self._roll_back(connection)

        return self._run_transaction(transact)

    def atomically(self, work: Callable[[], T]) -> T:
        def transact(connection: Connection) -> T:
            if is_in_transaction(connection):
                with self.savepoint():
                    return work()
            transaction = self.transaction()
            try:
                self.sender.execute(connection, "BEGIN")
                self.push_transaction(transaction)
                try:
                    result = work()
                finally:
                    if transaction in self._state.transactions:
                        self._state.transactions.remove(transaction)
                self.sender.execute(connection, "COMMIT")
            finally:
                self._roll_back(connection)
            return result

        self.require_writable()
        result = self._run_transaction(transact)
        if not self._state.transactions:
            self._run_commit_callbacks()
        return result

    def _run_transaction(self, transact: Callable[[Connection], T]) -> T:
        try:
            return self.with_connection(transact)
        except IntegrityError:
            raise
        except (driver.Error, PeeweeException) as error:
            self.fail(error)

    def _roll_back(self, connection: Connection) -> None:
        if is_in_transaction(connection):
            try:
                connection.execute("ROLLBACK")
            except driver.Error:
                connection.close()  # the error that led here is the one to be seen

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        raise StoreUnavailableError(self.target, "a server is backed up by its own pg_dump, which writes a copy too")

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        raise StoreUnavailableError(self.target, "what pg_dump wrote is restored by a server's own pg_restore")

    def vacuum(self) -> int:
        raise StoreUnavailableError(self.target, "a server gives room back by its own VACUUM, and does so by itself")
