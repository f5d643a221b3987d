"""SQLite as an engine: its statements and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from logging import DEBUG
from typing import Any, NoReturn, TypeVar, cast

from peewee import IntegrityError, Model, PeeweeException

from vulcan_store.engines.contract import Engine, KeyTakenError, ReferredError, Statement
from vulcan_store.engines.cursor import Row
from vulcan_store.engines.lending import logger
from vulcan_store.engines.sqlite.backup import copy_to
from vulcan_store.engines.sqlite.files import FileDatabase, has_code
from vulcan_store.engines.sqlite.indexing import make_missing_indexes
from vulcan_store.engines.sqlite.reasons import reason_of
from vulcan_store.engines.sqlite.restore import restore_from
from vulcan_store.engines.sqlite.undecodable import replaces, run
from vulcan_store.engines.sqlite.vacuum import vacuum
from vulcan_store.errors import InvalidWorkloadError, StoreUnavailableError

T = TypeVar("T")

CHANGES = ("INSERT", "UPDATE", "DELETE", "REPLAC", "COMMIT")
"""How a statement of Peewee's begins that would be lost in a file that was taken away."""
TOO_LARGE = "smaller: SQLite holds at most 1,000,000,000 bytes in a row"
TAKEN = "SQLITE_CONSTRAINT_PRIMARYKEY"


# Peewee's own classes differ in what is not said here.
class SqliteEngine(FileDatabase, Engine):  # pyright: ignore
    """A SQLite file or memory."""

    @classmethod
    def from_target(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> SqliteEngine:
        return cls(target, pragmas, read_only)

    def adapted(self, values: Sequence[Any]) -> Sequence[Any]:
        # Times are text here, and sqlite3's own text for them does not sort.
        if values and any(isinstance(value, datetime) for value in values):
            return [_time_text(value) if isinstance(value, datetime) else value for value in values]
        return values

    def execute_whole(
        self, connection: sqlite3.Connection, sql: str, values: Sequence[Any]
    ) -> tuple[sqlite3.Cursor, list[Row]]:
        if sql.lstrip()[:6].upper() in CHANGES:
            self.file.check()
        cursor = connection.cursor()
        try:
            return cursor, run(cursor, sql, values)
        except BaseException as error:
            del cursor
            if _is_too_large(error):
                raise _too_large(values) from error
            raise

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            if self.query_hooks or logger.isEnabledFor(DEBUG):
                return self.execute_sql(sql, values).fetchall()
            return self.run(_fetch, sql, values)
        except (sqlite3.Error, PeeweeException, OverflowError) as error:
            self.fail(error)

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        self._check_writable()
        try:
            if self.query_hooks or logger.isEnabledFor(DEBUG):
                return self.execute_sql(sql, values).fetchall()
            return self.run(run, sql, values)
        except (sqlite3.Error, PeeweeException, OverflowError) as error:
            self.fail(error)

    def write_if(self, look: Statement, change: Callable[[], Statement]) -> list[Row] | None:
        self._check_writable()
        if self.is_watched():
            return super().write_if(look, change)
        try:
            return self.run(_write_if, look, change)
        except (sqlite3.Error, PeeweeException, OverflowError) as error:
            self.fail(error)

    def _check_writable(self) -> None:
        if self.read_only:
            self.require_writable()
        self.file.check()

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        index, row = -1, cast(Sequence[Any], ())

        def counted() -> Iterator[Sequence[Any]]:
            nonlocal index, row
            for index, row in enumerate(rows):
                yield row

        if self.is_watched():
            self.write_each(sql, rows)
            return
        try:
            self.run(_execute_many, sql, counted())
        except sqlite3.IntegrityError as error:
            if not has_code(error, TAKEN):
                self.fail(error)
            raise KeyTakenError(index, row) from error
        except (sqlite3.Error, OverflowError) as error:
            self.fail(error)

    def snapshot(self, work: Callable[[], T]) -> T:
        try:
            read: T = self.run(_read_together, "BEGIN", work)
        except (sqlite3.Error, PeeweeException) as error:
            self.fail(error)
        return read

    def atomically(self, work: Callable[[], T]) -> T:
        self._check_writable()
        try:
            result = self.with_connection(lambda connection: self._write_together(connection, work))
        except IntegrityError:
            raise
        except (sqlite3.Error, PeeweeException) as error:
            self.fail(error)
        if not self._state.transactions:
            self._run_commit_callbacks()
        return result

    def _write_together(self, connection: sqlite3.Connection, work: Callable[[], T]) -> T:
        if connection.in_transaction:
            with self.savepoint():
                return work()
        transaction, transactions = self.transaction(), self._state.transactions
        outside = len(transactions)
        # The connection commits or rolls back in C, so that no interruption comes in between; nor does one before an
        # item of a list is deleted.
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                transactions.append(transaction)
                return work()
            finally:
                del transactions[outside:]

    def check_still_there(self) -> None:
        self.file.check_file()

    def table_and_index_names(self) -> set[str]:
        return {name for (name,) in self.read("SELECT name FROM sqlite_master")}

    def _create_missing(self, models: Sequence[type[Model]], there: Set[str]) -> None:
        if all(model._meta.table_name in there for model in models):
            make_missing_indexes(self, models, there)
        else:
            super()._create_missing(models, there)

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        try:
            copy_to(self, path, progress)
        except (sqlite3.Error, PeeweeException) as error:
            self.fail(error)

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        self._check_writable()
        if self._state.transactions or self.is_transaction_open():
            raise StoreUnavailableError(self.target, "it is in a transaction, and a restore cannot be part of one")
        restore_from(self, path, columns)

    def vacuum(self) -> int:
        self._check_writable()
        try:
            return vacuum(self)
        except (sqlite3.Error, PeeweeException) as error:
            self.fail(error)

    def fail(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if has_code(cause, TAKEN):
            raise IntegrityError(cause, *cause.args) from cause
        if _is_too_large(cause):
            raise _too_large(()) from cause
        if has_code(cause, "SQLITE_CONSTRAINT_FOREIGNKEY"):
            raise ReferredError(self.target, reason_of(self, cause)) from cause
        raise StoreUnavailableError(self.target, reason_of(self, cause)) from cause


def _time_text(moment: datetime) -> str:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC).isoformat(" ", "microseconds")
    return moment.isoformat(" ")  # as sqlite3 itself would write it


def _is_too_large(error: BaseException) -> bool:
    return has_code(error, "SQLITE_TOOBIG") or isinstance(error, OverflowError)


def _too_large(values: Sequence[Any]) -> InvalidWorkloadError:
    largest = max((value for value in values if isinstance(value, (bytes, str))), key=len, default=b"")
    return InvalidWorkloadError("output" if isinstance(largest, bytes) else "text", largest, TOO_LARGE)


def _fetch(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.OperationalError as error:
        if not replaces(connection, error):
            raise
    return connection.execute(sql, values).fetchall()


def _write_if(connection: sqlite3.Connection, look: Statement, change: Callable[[], Statement]) -> list[Row] | None:
    return run(connection, *change()) if _fetch(connection, *look) else None


def _read_together(connection: sqlite3.Connection, begin: str, work: Callable[[], T]) -> T:
    if connection.in_transaction:
        return work()
    with connection:
        connection.execute(begin)
        return work()


def _execute_many(connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
    connection.executemany(sql, rows)  # the connection's own: tools that watch statements put another in its place
