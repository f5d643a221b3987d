"""SQLite's online backup: https://www.sqlite.org/backup.html."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vulcan_store.engines.sqlite.driver import opened, sqlite3
from vulcan_store.engines.sqlite.paths import uri_of
from vulcan_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine

UNFINISHED = ".vulcan-backup-"
"""How the hidden name of a backup begins that is not whole yet."""


def copy_to(database: SqliteEngine, path: str) -> None:
    """Copy a database to a new file while others go on writing; the file has its name only once it is whole.

    Raises:
        StoreUnavailableError: the file exists or cannot be written, or the database was taken away.
        sqlite3.Error: what SQLite cannot do.
    """
    database.file.check()
    _require_free(path)
    folder = os.path.dirname(path)
    try:
        _remove_unfinished(folder)
        with _unfinished(folder) as name:
            with opened(uri_of(name, "rwc")) as copy:
                if not database.in_memory:
                    shutil.copymode(database.path, name)  # before it holds what others may not read
                copy.execute("PRAGMA journal_mode = off")  # what is unfinished is taken away, so it is one file
                # Not the connection of a transaction of this thread's: what that has not committed is nobody's to copy.
                database.pool.lend_another(lambda source: _copy(source, copy))
            database.file.check()  # or it would be a copy of what nobody has any more
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
    with source:
        # What is copied is what this reads, for which it waits no longer than busy_timeout; a copy would wait for ever.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        source.backup(copy)
