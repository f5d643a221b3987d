"""What SQLite's errors mean where its own words do not say it, and what would help."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vulcan_store.engines.sqlite.driver import has_code

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine


def reason_of(database: SqliteEngine, error: Exception) -> str:
    """Why a statement or an opening failed, and what would help."""
    if has_code(error, "SQLITE_BUSY", "SQLITE_LOCKED"):
        return locked(database)
    if has_code(error, "SQLITE_CORRUPT"):
        return f"it is damaged ({error}); restore a backup, or try the sqlite3 shell's .recover"
    if has_code(error, "SQLITE_CANTOPEN", "SQLITE_READONLY"):
        return f"{_obstacle(database)} ({error})"
    return str(error)


def locked(database: SqliteEngine) -> str:
    """Why a lock was refused, and what would help."""
    others = "another process or thread, the server perhaps,"
    if database.is_transaction_open():
        return (
            f"it is locked: {others} is writing, or has written since this transaction began to read; begin it with "
            "IMMEDIATE"
        )
    return (
        f"it is locked: for {database.busy_timeout:g} s (busy_timeout) {others} was writing or had left a transaction "
        "open; nothing was written, so try again"
    )


def _obstacle(database: SqliteEngine) -> str:
    path = os.path.realpath(database.path)
    folder = os.path.dirname(path)
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))  # which fails if this process may open no more files
        os.stat(path)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            return f"the folder {folder!r} does not exist"
        if database.read_only:
            return "there is no such file, and read_only=True creates none"
    except OSError as error:
        return f"it cannot be reached: {error.strerror}"
    exists = os.path.exists(path)
    if exists and not os.access(path, os.R_OK):
        return "this user may not read the file"
    if database.read_only:
        return (
            "it is in WAL mode and its folder may not be written, which even reading needs; allow that, "
            "read it while the server has it open, or read a copy in another folder"
        )
    if exists and not os.access(path, os.W_OK):
        return "this user may not write the file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not create files in the folder {folder!r}, where SQLite needs -wal and -shm"
    return "SQLite could not open it, though this user may write the file and its folder; look at its -wal and -shm"
