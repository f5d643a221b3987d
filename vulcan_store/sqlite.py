"""SQLite as an engine: its statements, its transactions, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, cast

from peewee import IntegrityError, PeeweeException, _manual

from vulcan_store.engine import READ_ONLY, Engine, KeyTakenError
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.prepared import Row, until
from vulcan_store.sqlite_database import ConnectedDatabase, has_code
from vulcan_store.undecodable import replaces, run

T = TypeVar("T")

TAKEN = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")
PAGES_AT_ONCE = 1_000
"""How many pages a backup copies before it lets go of the interpreter and tells its progress."""


class SqliteEngine(ConnectedDatabase, Engine):
    """A SQLite file or memory."""

    @classmethod
    def of(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> SqliteEngine:
        return cls(target, pragmas, read_only)

    def read(self, sql: str, values: Sequence[Any] = (), in_one: bool = False) -> list[Row]:
        connection = self.connection()
        try:
            with connection.lock:
                if self._state.transactions and not connection.in_transaction:
                    self._check_transaction()
                if in_one:
                    return run(connection, sql, values)
                # No name for the cursor: a traceback would keep it, and with it an unfinished statement.
                rows: list[Row] = connection.execute(sql, values).fetchall()
                return rows
        except sqlite3.Error as error:
            if not connection.open:  # closed just before the call, which has done nothing yet
                return self.read(sql, values, in_one)
            if not in_one and replaces(connection, error):
                return self.read(sql, values)
            self.fail(error)

    def read_part(self, sql: str, values: Sequence[Any], column: int, most: int) -> list[Row]:
        try:
            with self.steady() as connection:
                return until(connection.execute(sql, values), column, most)
        except sqlite3.Error as error:
            if replaces(connection, error):
                return self.read_part(sql, values, column, most)
            self.fail(error)

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        self.check_file()
        # Executed and read in C: a signal handler that called the store in between would find it in mid-statement.
        return self.read(sql, values, in_one=True)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        index, row = -1, cast(Sequence[Any], ())

        def counted() -> Iterator[Sequence[Any]]:
            nonlocal index, row
            for index, row in enumerate(rows):
                yield row

        try:
            self.connection().executemany(sql, counted())
        except sqlite3.IntegrityError as error:
            if not has_code(error, *TAKEN):
                self.fail(error)
            raise KeyTakenError(index, row) from error
        except sqlite3.Error as error:
            self.fail(error)

    def snapshot(self, work: Callable[[], T]) -> T:
        return self._within("BEGIN", work)

    def together(self, work: Callable[[], T]) -> T:
        self.check_file()
        result = self._within("BEGIN IMMEDIATE", work)
        self.require_writable()
        return result

    def _within(self, begin: str, work: Callable[[], T]) -> T:
        try:
            with self.steady() as connection:
                if not connection.in_transaction:
                    # The connection commits or rolls back in C, so that no signal handler can come in between.
                    with connection:
                        connection.execute(begin)
                        return work()
                if begin == "BEGIN":
                    return work()
                with self.savepoint():
                    return work()
        except (sqlite3.Error, PeeweeException) as error:
            if isinstance(error, IntegrityError):
                raise
            self.fail(error)

    def _check_transaction(self) -> None:
        if not isinstance(self._state.transactions[-1], _manual):
            raise StoreUnavailableError(
                self.target, "the transaction was rolled back by an earlier error; leave its block before going on"
            )

    def names(self) -> set[str]:
        return {name for (name,) in self.read("SELECT name FROM sqlite_master")}

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o666 if self.in_memory else os.stat(self.path).st_mode))
        except FileExistsError:
            raise StoreUnavailableError(path, "it exists already, and a backup overwrites nothing") from None
        except OSError as error:
            raise StoreUnavailableError(path, f"a backup cannot be written there ({error.strerror})") from error
        try:
            self._copy(path, progress)
        except BaseException:
            os.unlink(path)
            raise

    def _copy(self, path: str, progress: Callable[[int, int], object] | None) -> None:
        def tell(status: int, remaining: int, total: int) -> None:
            if progress is not None:
                progress(total - remaining, total)

        try:
            with self.borrowed() as source, contextlib.closing(sqlite3.connect(path)) as copy:
                # In a transaction of its own every step sees the same state; without, a write would start it anew:
                # https://www.sqlite.org/c3ref/backup_finish.html
                source.execute("BEGIN")
                source.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
                source.backup(copy, pages=PAGES_AT_ONCE, progress=tell)
        except (sqlite3.Error, PeeweeException) as error:
            self.fail(error)

    def fail(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if has_code(cause, *TAKEN):
            raise IntegrityError(cause, *cause.args) from cause
        raise StoreUnavailableError(self.target, self._reason(cause)) from cause

    def _reason(self, error: Exception) -> str:
        if not self.in_memory and os.path.isdir(self.path):
            return "it is a folder"
        if has_code(error, "SQLITE_BUSY_SNAPSHOT"):
            return "another connection has written since this transaction began to read; begin it with IMMEDIATE"
        if has_code(error, "SQLITE_BUSY", "SQLITE_LOCKED"):
            return (
                f"it is locked: for {self.busy_timeout:g} s (busy_timeout) another process or thread, the server "
                "perhaps, was writing or had left a transaction open; nothing was written, so try again"
            )
        if has_code(error, "SQLITE_FULL"):
            return f"there is no room left, on its disk or within max_page_count ({error})"
        if has_code(error, "SQLITE_NOTADB"):
            return "it is not a SQLite database"
        if has_code(error, "SQLITE_CORRUPT"):
            return f"it is damaged ({error}); restore a backup, or try the sqlite3 shell's .recover"
        if has_code(error, "SQLITE_READONLY") and not has_code(error, "SQLITE_READONLY_DIRECTORY") and self.read_only:
            return READ_ONLY
        if has_code(error, "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"):
            return f"{self._obstacle()} ({error})"
        return str(error)

    def _obstacle(self) -> str:
        folder = os.path.dirname(self.path)
        try:
            os.stat(self.path)
        except FileNotFoundError:
            if not os.path.isdir(folder):
                return f"the folder {folder!r} does not exist"
            if self.read_only:
                return "there is no such file, and read_only=True creates none"
        except PermissionError:
            return "this user may not enter its folder"
        except OSError as error:
            return f"it cannot be reached: {error.strerror}"
        if self.read_only and os.access(self.path, os.R_OK):
            return (
                "it is in WAL mode and its folder may not be written, which even reading needs; allow that, "
                "read it while the server has it open, or read a copy in another folder"
            )
        return "this user may not read and write the file and its folder"
