"""Copies: SQLite's online backup, and a restore, which is one with the store as its destination.

https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vulcan_store.engines.sqlite.driver import has_code, opened, sqlite3
from vulcan_store.engines.sqlite.paths import uri_of
from vulcan_store.engines.sqlite.reasons import locked
from vulcan_store.errors import SchemaMismatchError, StoreUnavailableError

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine

UNFINISHED = ".vulcan-backup-"
"""How the hidden name of a backup begins that is not whole yet."""
BUSY = (5, 6)
"""Busy and locked: https://www.sqlite.org/rescode.html#busy"""
COLUMNS = (
    "SELECT each.name FROM sqlite_master AS found, pragma_table_info(found.name) AS each "
    "WHERE found.type = 'table' AND found.name = ? COLLATE NOCASE"
)
"""The columns of a table; of a view none."""


def copy_to(database: SqliteEngine, path: str) -> None:
    """Copy a database to a new file while others go on writing; the file has its name only once it is whole.

    Raises:
        StoreUnavailableError: the file exists or cannot be written, or the database was taken away.
        sqlite3.Error: what SQLite cannot do.
    """
    database.check_still_there()
    _require_free(path)
    folder = os.path.dirname(path)
    try:
        _remove_unfinished(folder)
        with _unfinished(folder) as name:
            with opened(uri_of(name, "rwc")) as copy:
                if not database.in_memory:
                    shutil.copymode(database.path, name)  # before it holds what others may not read
                # Not the connection of a transaction of this thread's: what that has not committed is nobody's to copy.
                database.with_another_connection(lambda source: _copy(source, copy))
            database.check_still_there()  # or it would be a copy of what nobody has any more
            _sync(name)
            _rename(name, path)
        with contextlib.suppress(PermissionError):  # a folder may be one to put things into alone
            _sync(folder)
    except (OSError, ValueError) as error:  # a NUL, for one
        reason = getattr(error, "strerror", error)
        raise StoreUnavailableError(path, f"a backup cannot be written there ({reason})") from error


def _require_free(path: str) -> None:
    if os.path.lexists(path):
        raise StoreUnavailableError(path, "it exists already, and a backup overwrites nothing")


def _rename(name: str, path: str) -> None:
    try:
        os.link(name, path)  # which overwrites nothing; the other name is taken away next
    except OSError:
        _require_free(path)  # it is taken, or this file system has no links
        os.rename(name, path)


@contextlib.contextmanager
def _unfinished(folder: str) -> Iterator[str]:
    # The file beside it, which nobody opens but for its lock, says that the backup is under way: to close a second
    # descriptor of the copy itself would drop SQLite's locks. An object's end gives the lock back, so that the next
    # backup takes away what an interruption has left.
    marker = tempfile.NamedTemporaryFile(prefix=UNFINISHED, suffix=".lock", dir=folder, delete=False)
    name = marker.name.removesuffix(".lock")
    try:
        fcntl.flock(marker, fcntl.LOCK_EX)
        yield name
    finally:
        for each in (name, marker.name):
            Path(each).unlink(missing_ok=True)
        marker.close()


def _remove_unfinished(folder: str) -> None:
    """Take away what backups have left that died; one that is under way has a lock."""
    for marker in Path(folder).glob(f"{UNFINISHED}*.lock"):
        with contextlib.suppress(OSError), marker.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            marker.with_suffix("").unlink(missing_ok=True)
            marker.unlink()


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    copy.execute("PRAGMA journal_mode = off")  # what is unfinished is taken away, so it is one file
    with source:
        # What is copied is what this reads, for which it waits no longer than busy_timeout; a copy would wait for ever.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        source.backup(copy)


def restore_from(database: SqliteEngine, path: str, columns: Mapping[str, Sequence[str]]) -> None:
    """Copy a file over a database, in one transaction.

    Raises:
        StoreUnavailableError, SchemaMismatchError: as :func:`vulcan_store.restore_store` says; nothing was changed.
    """
    if not os.path.isfile(path):
        raise StoreUnavailableError(path, "there is no such file to restore, or it is no regular file")
    if not database.in_memory and os.path.samefile(path, database.path):
        raise StoreUnavailableError(path, "this is the store's own file")
    # A file that nobody has open needs no locks, and reading it leaves no -wal and -shm beside it.
    alone = not os.path.exists(os.path.realpath(path) + "-wal")

    def refuse(status: int, remaining: int, total: int) -> None:
        if status in BUSY:  # SQLite has waited for its busy_timeout, and sqlite3 would try again for ever
            raise StoreUnavailableError(database.target, locked(database))

    def copy(target: sqlite3.Connection) -> None:
        with opened(uri_of(path, "ro") + ("&immutable=1" if alone else "")) as source, opened(":memory:") as memory:
            _check(source, path, columns)
            if database.in_memory:
                # Memory has no WAL, and cannot be read once its header says that it has, in the bytes 18 and 19:
                # https://www.sqlite.org/fileformat2.html
                content = source.serialize()
                memory.deserialize(content[:18] + b"\x01\x01" + content[20:])
                source = memory
            source.backup(target, progress=refuse)

    try:
        # A fork waits for what is done with a connection of the store's, and so for what is done with the file.
        database.with_another_connection(copy)
    except sqlite3.Error as error:
        if has_code(error, "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN"):
            raise StoreUnavailableError(path, f"it cannot be restored: {error}") from error
        if has_code(error, "SQLITE_READONLY"):
            raise StoreUnavailableError(
                database.target,
                "the backup has another page size, which cannot be changed while the journal mode is WAL; restore it "
                "into a new file",
            ) from error
        database.raise_translated(error)


def _check(source: sqlite3.Connection, path: str, columns: Mapping[str, Sequence[str]]) -> None:
    for table, needed in columns.items():
        there = {name for (name,) in source.execute(COLUMNS, (table,))}
        missing = tuple(name for name in needed if name not in there)
        if missing:
            raise SchemaMismatchError(path, table, missing)
    ((found,),) = source.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise StoreUnavailableError(path, f"it is damaged ({found}); restore another backup")
