"""SQLite as an engine: how a file, or memory, is opened, its statements and its transactions."""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NoReturn, TypeVar

from peewee import SENTINEL, IntegrityError, Model, PeeweeException, SqliteDatabase  # type: ignore

from vulcan_store.engines import forks
from vulcan_store.engines.contract import Engine, KeyTakenError, Ran, ReferredError
from vulcan_store.engines.cursor import Row
from vulcan_store.engines.pool import FORKED, Pool
from vulcan_store.engines.sqlite.copies import copy_to, restore_from
from vulcan_store.engines.sqlite.driver import has_code, opened, sqlite3
from vulcan_store.engines.sqlite.paths import KeptFile, identity_of, path_of, require_one_name, uri_of
from vulcan_store.engines.sqlite.pragmas import PRAGMAS, checked_pragmas
from vulcan_store.engines.sqlite.reasons import reason_of
from vulcan_store.errors import InvalidWorkloadError, StoreUnavailableError

T = TypeVar("T")

PAUSE = 0.01
"""Seconds between two tries to open a file that is locked."""
OF_THE_FILE = {
    "application_id", "auto_vacuum", "encoding", "incremental_vacuum", "journal_mode", "optimize", "page_size",
    "schema_version", "user_version", "wal_checkpoint",
}  # fmt: skip
"""Pragmas that are the file's, or an order: https://www.sqlite.org/pragma.html. Each connection has the others anew."""
SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
TOO_LARGE = "smaller: SQLite holds at most 1,000,000,000 bytes in a row"
TAKEN = "SQLITE_CONSTRAINT_PRIMARYKEY"

_decode = operator.methodcaller("decode", "utf-8", "replace")


class Patience:
    """Seconds for which an opening waits while somebody has the file locked.

    It waits here, between tries that wait for nothing, and not in SQLite: a fork can come in between. What is slept is
    counted, and no clock read: tests of users freeze clocks.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def call(self, work: Callable[[], T]) -> T:
        """Call a function again and again until nothing is locked, or no patience is left."""
        while True:
            try:
                return work()
            except (sqlite3.Error, StoreUnavailableError) as error:
                if self.left <= 0 or not has_code(error.__cause__ or error, "SQLITE_BUSY"):
                    raise
            time.sleep(PAUSE)
            self.left -= PAUSE


# Peewee's own classes differ in what is not said here.
class SqliteEngine(Engine, SqliteDatabase):  # pyright: ignore
    """A SQLite file or memory.

    Args:
        target: a path, ``":memory:"``, or a ``sqlite:///`` URL.
        pragmas: what is set on every connection instead of the defaults.
        read_only: whether the file is opened without being changed.
    """

    errors = (sqlite3.Error, PeeweeException, OverflowError)
    _attached: Any

    def __init__(self, target: str, pragmas: Mapping[str, Any], read_only: bool) -> None:
        self.target, self.read_only = target, read_only
        try:
            self.path = path_of(target)
            self.file = KeptFile(target, self.path)
        except (OSError, UnicodeError) as error:  # the current folder is gone, or this is no valid Unicode
            raise StoreUnavailableError(target, f"its path cannot be read: {error}") from error
        pragmas = checked_pragmas(target, pragmas)
        self.in_memory = self.path == ":memory:"
        # Reading alone makes a -wal, which is to be taken away again.
        self.left_behind = read_only and not self.in_memory and not os.path.exists(self.file.wal_path)
        self.drained = False
        self.connections = set[Any]()  # what is open, but for what keeps a memory
        if self.in_memory:
            # https://www.sqlite.org/src/file/src/memdb.c: a name with a slash is shared within the process.
            self.uri = f"file:/{uuid.uuid4()}?vfs=memdb"
        else:
            self.uri = uri_of(self.path, "ro" if read_only else "rwc")
        self.wanted_mode = "" if self.in_memory else str(pragmas["journal_mode"]).lower()
        self.busy_timeout = float(pragmas["busy_timeout"]) / 1000
        self.opening: Patience | None = Patience(self.busy_timeout)
        set_apart = ["journal_mode", "busy_timeout"]
        if self.in_memory and pragmas["synchronous"] == PRAGMAS["synchronous"]:
            set_apart.append("synchronous")  # it means nothing there, and setting it waits for whoever is writing
        pool: Pool[Any] = Pool(target, self._open, self._close_connection, attrgetter("in_transaction"))
        super().__init__(
            self.path,
            pool,
            pragmas={name: value for name, value in pragmas.items() if name not in set_apart},
            # A transaction that reads first and then writes would be refused at once, however long the timeout:
            # https://www.sqlite.org/rescode.html#busy_snapshot
            lock_type=None if read_only else "IMMEDIATE",
        )

    # Opening and closing connections

    def start(self) -> None:
        identity = None if self.in_memory else identity_of(self.file.path)
        for other in list(forks.engines):
            if isinstance(other, SqliteEngine) and other.file.identity == identity is not None:
                if other.pool.process != os.getpid():  # SQLite would count on locks that only the parent has
                    raise StoreUnavailableError(self.target, FORKED)
        if self.in_memory:
            self._open(functools.partial(setattr, self, "anchor"))  # what is in memory lives as long as a connection
            self.connections.clear()
        elif not self.read_only:
            require_one_name(self.target, self.path)
        super().start()
        if not self.in_memory:
            self.file.identity = identity_of(self.file.path)
            self.uri = uri_of(self.path, "ro" if self.read_only else "rw")  # it never makes a new file

    def ensure_schema(self, models: Sequence[type[Model]]) -> None:
        (self.opening or Patience(0)).call(functools.partial(super().ensure_schema, models))
        self.opening = None
        self.with_connection(self._set_busy_timeout)

    def _open(self, note: Callable[[Any], None]) -> None:
        try:
            (self.opening or Patience(self.busy_timeout)).call(lambda: self._try_to_open(note))
        except self.errors as error:
            self.raise_translated(error)

    def _try_to_open(self, note: Callable[[Any], None]) -> None:
        self.file.check_file()
        with forks.opening_or_closing:
            connection = sqlite3.connect(
                self.uri, timeout=0, isolation_level=None, check_same_thread=False, uri=True
            )
            if sqlite3.__name__ != "sqlite3":  # pysqlite3's cursors lose a row that failed, and the one before
                connection.text_factory = _decode
            try:
                self.connections.add(connection)
                self._add_conn_hooks(connection)  # type: ignore[attr-defined]
                if self.opening is None:  # by then it is known to be a store
                    self._ensure_journal_mode(connection)
                    self._set_busy_timeout(connection)
                self.file.check_file()  # or it would be one to the file that took its place meanwhile
                note(connection)
            except BaseException:
                self.pool.unused.add(connection)
                self.pool.close_unused()
                raise

    def _close_connection(self, connection: Any) -> None:
        with forks.opening_or_closing:
            connection.close()
            self.connections.discard(connection)
            if not self.connections:
                self.file.wal_identity = None  # the last one has taken it away

    def _set_busy_timeout(self, connection: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {round(self.busy_timeout * 1000)}")

    def set_journal_mode(self) -> None:
        """Set the journal mode, which is the file's."""
        self.with_connection(self._ensure_journal_mode)

    def _ensure_journal_mode(self, connection: Any) -> None:
        if self.wanted_mode and not self.read_only:
            mode = connection.execute(f"PRAGMA journal_mode = {self.wanted_mode}").fetchone()[0]
            if mode != self.wanted_mode:
                raise StoreUnavailableError(
                    self.target,
                    f"its journal mode is {mode!r} and could not be made {self.wanted_mode!r}; "
                    "a network file system, for one, has no WAL: https://www.sqlite.org/wal.html",
                )
        if self.file.wal_identity is None and self.file.identity is not None and self.wanted_mode == "wal":
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # a read opens it
            self.file.wal_identity = identity_of(self.file.wal_path)

    def _closed(self) -> None:
        if self.pool.process != os.getpid():
            return
        super()._closed()
        if anchor := self.__dict__.pop("anchor", None):
            self._close_connection(anchor)
        if self.left_behind:
            self._remove_empty_wal()

    def _remove_empty_wal(self) -> None:
        # A read-only connection to a file in WAL mode has to create -wal and -shm and cannot remove them; SQLite
        # itself removes them, once nobody uses them, when a connection that may write is closed.
        with contextlib.suppress(sqlite3.Error, OSError), forks.opening_or_closing:
            if not os.path.getsize(self.file.wal_path):  # what is not empty is of a writer that has died meanwhile
                with opened(uri_of(self.path, "rw")) as connection:
                    connection.execute("SELECT 1 FROM sqlite_master").fetchall()

    # Forks

    def before_fork(self) -> None:
        self.pool.pause()
        # Where an object's end forks in the middle of an opening, that cannot be waited for.
        opening = forks.is_mine(forks.opening_or_closing)
        self.drained = not opening and self.pool.drain(self._state.borrower, self.busy_timeout)

    def is_ready(self) -> bool:
        return not (self.pool.lending or self.drained and self.pool.process and self.connections)

    def after_fork_in_child(self) -> None:
        # What is in memory is copied with the process, so connections go on with the copy. An attached file is not.
        refused = self.pool.process is None
        copied = self.in_memory and not self._attached and not refused
        if copied and self.pool.go_on_in_child(self._state.borrower):
            return
        super().after_fork_in_child()
        if refused or self.connections:
            self.pool.process = None  # it is refused, and so are its own children
            self.connections.clear()
        self.file.wal_identity = None

    # Statements

    def run_read(self, connection: Any, sql: str, values: Sequence[Any]) -> Ran:
        """Run a statement to its end.

        Until it comes across text that is not UTF-8, which the server can store, a connection decodes as sqlite3 does
        by itself: with a function in its place every value would cost more. The cursor stands before the row that
        failed then, so whoever reads on gets that row, and nothing has to be run again.
        """
        cursor: Any = None
        found: list[Row] = []
        try:
            cursor = connection.execute(sql, values)
            found.extend(cursor)
        except BaseException as error:
            if not _is_about_text(error) or connection.text_factory is _decode:
                del cursor, connection  # or a traceback that somebody keeps would keep the statement, and the file open
                too_long = isinstance(error, OverflowError) and "int too large" not in str(error)
                if too_long or has_code(error, "SQLITE_TOOBIG"):
                    raise _too_large(values) from error
                raise
            connection.text_factory = _decode
            found.extend(cursor)
        return cursor, found

    def run_write(self, connection: Any, sql: str, values: Sequence[Any]) -> Ran:
        self.file.check()
        return self.run_read(connection, sql, values)

    def run_any(self, connection: Any, sql: str, values: Sequence[Any]) -> Ran:
        return self.run_write(connection, sql, self.adapted(values))

    def adapted(self, values: Sequence[Any]) -> Sequence[Any]:
        # Times are text here, and sqlite3's own text for them does not sort.
        if isinstance(values, Mapping):
            return dict(zip(values, self.adapted([*values.values()])))  # type: ignore[return-value]
        return [_time_text(value) if isinstance(value, datetime) else value for value in values]

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        taken: tuple[int, Sequence[Any]] = -1, ()

        def counted() -> Iterator[Sequence[Any]]:
            nonlocal taken
            for taken in enumerate(rows):
                yield taken[1]

        try:
            # Shown without the rows, which come but once.
            self._run(lambda connection, sql, _: self.run_many(connection, sql, counted()), sql, ())
        except IntegrityError as error:
            raise KeyTakenError(*taken) from error

    def read_together(self, connection: Any, work: Callable[[], T]) -> T:
        if connection.in_transaction:
            return work()
        with connection:
            connection.execute("BEGIN")
            return work()

    def check_still_there(self) -> None:
        self.with_connection(lambda connection: self.file.check())

    def is_gone(self, error: Exception) -> bool:
        return has_code(getattr(error, "orig", error), "SQLITE_ERROR")

    # Peewee's own ways

    def pragma(self, key: str, value: Any = SENTINEL, permanent: bool = False, schema: str | None = None) -> Any:
        """As in Peewee; outside of a transaction a value reaches every connection."""
        answer = super().pragma(key, value, permanent, schema)
        name = key.lower()
        if value is SENTINEL or schema not in (None, "main"):
            return answer
        if name == "journal_mode":
            self.wanted_mode, self.file.wal_identity = str(answer), None
            self.with_connection(self._ensure_journal_mode)
        elif name not in OF_THE_FILE and not self.is_transaction_open():
            if name == "busy_timeout":
                self.busy_timeout = float(value) / 1000
            else:
                with forks.opening_or_closing:
                    others = filter(lambda pragma: pragma[0] != name, self._pragmas)
                    self._pragmas: Any = [*others, (name, value or 0)]
            self.pool.retire()
        return answer

    def attach(self, filename: str, name: str) -> bool:
        """As in Peewee; a path stays the same file when the process changes its folder."""
        if filename and not filename.startswith((":", "file:")):
            filename = os.path.abspath(filename)
            if self.in_memory:  # without a VFS it would be a database in memory, as the main one is
                filename = uri_of(filename, "rwc") + "&vfs=unix"
        return super().attach(filename, name)

    # Copies

    def backup(self, path: str) -> None:
        try:
            copy_to(self, path)
        except self.errors as error:
            self.raise_translated(error)

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        self.require_writable()
        self.check_still_there()
        if self._state.transactions or self.is_transaction_open():
            raise StoreUnavailableError(self.target, "it is in a transaction, and a restore cannot be part of one")
        restore_from(self, path, columns)

    def vacuum(self) -> int:
        ((before,),) = self.read(SIZE)
        self.write("VACUUM")
        # What is in the -wal has to be in the file before it shrinks: https://www.sqlite.org/pragma.html
        self.read("PRAGMA wal_checkpoint(TRUNCATE)")
        ((after,),) = self.read(SIZE)
        return int(before - after)

    # Errors

    def raise_translated(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if has_code(cause, TAKEN):
            raise IntegrityError(cause, *cause.args) from cause
        if has_code(cause, "SQLITE_TOOBIG") or isinstance(cause, OverflowError):
            raise _too_large(()) from cause
        if isinstance(cause, sqlite3.Error):
            kind = ReferredError if has_code(cause, "SQLITE_CONSTRAINT_FOREIGNKEY") else StoreUnavailableError
            raise kind(self.target, reason_of(self, cause)) from cause
        super().raise_translated(error)


def _reaching_every_connection(method: Callable[..., Any]) -> Callable[..., Any]:
    # Peewee registers on the thread's connection and on those that it opens later.
    @functools.wraps(method)
    def register(self: SqliteEngine, *args: Any, **kwargs: Any) -> Any:
        if self.ended:
            return method(self, *args, **kwargs)

        def work(connection: Any) -> Any:
            with forks.opening_or_closing:  # an opening walks through what is registered
                registered = {name: copy(value) for name, value in vars(self).items() if isinstance(value, (dict, set))}
                try:
                    return method(self, *args, **kwargs)
                except BaseException:
                    vars(self).update(registered)  # or no connection could be opened any more
                    raise

        answer = self.with_connection(work)
        self.pool.retire()
        return answer

    return register


for _name in (
    "register_aggregate", "register_collation", "register_function", "register_window_function",
    "unregister_aggregate", "unregister_collation", "unregister_function", "unregister_window_function",
    "load_extension", "attach", "detach",
):  # fmt: skip
    setattr(SqliteEngine, _name, _reaching_every_connection(getattr(SqliteEngine, _name)))


def _is_about_text(error: BaseException) -> bool:
    # The only OperationalError of sqlite3's own, and so the only one without a code of SQLite's.
    return type(error) is sqlite3.OperationalError and not hasattr(error, "sqlite_errorcode")


def _time_text(moment: datetime) -> str:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC).isoformat(" ", "microseconds")
    return moment.isoformat(" ")  # as sqlite3 itself would write it


def _too_large(values: Sequence[Any]) -> InvalidWorkloadError:
    largest = max((value for value in values if isinstance(value, (bytes, str))), key=len, default=b"")
    return InvalidWorkloadError("output" if isinstance(largest, bytes) else "text", largest, TOO_LARGE)
