"""What SQLite's errors mean, and what would help."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from vulcan_store.engines.contract import READ_ONLY
from vulcan_store.engines.sqlite.driver import has_code

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine


def reason_of(database: SqliteEngine, error: Exception) -> str:
    """Why a statement or an opening failed, and what would help."""
    if not database.in_memory and os.path.isdir(database.path):
        return "it is a folder"
    if has_code(error, "SQLITE_BUSY_SNAPSHOT"):
        return "another connection has written since this transaction began to read; begin it with IMMEDIATE"
    if has_code(error, "SQLITE_BUSY", "SQLITE_LOCKED"):
        return locked(database)
    if has_code(error, "SQLITE_FULL"):
        return f"there is no room left, on its disk or within max_page_count ({error})"
    if has_code(error, "SQLITE_CONSTRAINT_UNIQUE"):
        return f"a unique index that is not of this package holds such a value already ({error})"
    if has_code(error, "SQLITE_CONSTRAINT_FOREIGNKEY"):
        return f"another table refers to what was to be deleted, or a log line to no workload ({error})"
    if has_code(error, "SQLITE_NOTADB"):
        return "it is not a SQLite database"
    if has_code(error, "SQLITE_CORRUPT"):
        return f"it is damaged ({error}); restore a backup, or try the sqlite3 shell's .recover"
    if has_code(error, "SQLITE_READONLY") and not has_code(error, "SQLITE_READONLY_DIRECTORY") and database.read_only:
        return READ_ONLY
    if has_code(error, "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"):
        return f"{_obstacle(database)} ({error})"
    return str(error)


def locked(database: SqliteEngine) -> str:
    """Why a lock was refused, and what would help."""
    others = "another process or thread, the server perhaps, was writing or had left a transaction open; nothing "
    if database.is_transaction_open():
        return f"it is locked: {others}waits for that in a transaction which began to read; begin it with IMMEDIATE"
    return f"it is locked: for {database.busy_timeout:g} s (busy_timeout) {others}was written, so try again"


def _obstacle(database: SqliteEngine) -> str:
    exhausted = _exhausted()
    if exhausted:
        return exhausted
    if database.in_memory:
        return "SQLite could not open it"
    path = os.path.realpath(database.path)
    folder = os.path.dirname(path)
    try:
        os.stat(path)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            hint = "; a ~ is not expanded here, os.path.expanduser does that" if database.target.startswith("~") else ""
            return f"the folder {folder!r} does not exist{hint}"
        if database.read_only:
            return "there is no such file, and read_only=True creates none"
    except PermissionError:
        return "this user may not enter its folder"
    except OSError as error:
        return f"it cannot be reached: {error.strerror}"
    return _forbidden(database, path, folder)


def _exhausted() -> str:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno == errno.EMFILE:
            return "this process has no file descriptor left (ulimit -n); close files that it opened, or allow more"
    return ""


def _forbidden(database: SqliteEngine, path: str, folder: str) -> str:
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return "this user may not read the file"
    if database.read_only:
        return (
            "it is in WAL mode and its folder may not be written, which even reading needs; allow that, "
            "read it while the server has it open, or read a copy in another folder"
        )
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "its file system is mounted read-only; open it with read_only=True"
    if os.path.exists(path) and not os.access(path, os.W_OK):
        return "this user may not write the file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not create files in the folder {folder!r}, where SQLite needs -wal and -shm"
    return "SQLite could not open it, though this user may write the file and its folder; look at its -wal and -shm"
