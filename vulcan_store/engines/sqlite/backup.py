"""SQLite's online backup: https://www.sqlite.org/backup.html."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable

from vulcan_store.engines import forks
from vulcan_store.engines.sqlite.files import FileDatabase
from vulcan_store.errors import StoreUnavailableError

PAGES_PER_STEP = 1_000
"""How many pages are copied before others get the interpreter and hear of the progress."""

Progress = Callable[[int, int], object]


def copy_to(database: FileDatabase, path: str, progress: Progress | None = None) -> None:
    """Copy a database to a new file while others go on writing; nothing is left of a copy that was not finished.

    Raises:
        StoreUnavailableError: the file exists or cannot be written, or the database was taken away.
        sqlite3.Error: what SQLite cannot do.
    """
    database.file.check()
    mode = 0o666 if database.in_memory else os.stat(database.path).st_mode
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, mode))
    except FileExistsError:
        raise StoreUnavailableError(path, "it exists already, and a backup overwrites nothing") from None
    except ValueError:
        raise StoreUnavailableError(path, "it is not the path of a file: it holds a NUL") from None
    except OSError as error:
        raise StoreUnavailableError(path, f"a backup cannot be written there ({error.strerror})") from error
    try:
        _copy(database, path, progress)
    except BaseException:
        os.unlink(path)
        raise


def _copy(database: FileDatabase, path: str, progress: Progress | None) -> None:
    def tell(status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    def copy_from(source: sqlite3.Connection) -> None:
        with _opened(path) as copy, source:
            # In a transaction every step sees the same state; without, a write would start the copy anew:
            # https://www.sqlite.org/c3ref/backup_finish.html
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
            source.backup(copy, pages=PAGES_PER_STEP, progress=tell)

    # Not the connection of a transaction of this thread's: what that has not committed is nobody's to copy.
    database.pool.lend(copy_from)
    database.file.check()


@contextlib.contextmanager
def _opened(path: str):  # type: ignore[no-untyped-def]
    # The class itself: tools that watch statements put a wrapper in the place of sqlite3.connect.
    with forks.opening_or_closing:
        connection = sqlite3.Connection(path)
    try:
        yield connection
    finally:
        with forks.opening_or_closing:
            connection.close()
