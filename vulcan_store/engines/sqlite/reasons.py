"""What SQLite's errors mean, and what would help."""

from __future__ import annotations

import os

from vulcan_store.engines.contract import READ_ONLY
from vulcan_store.engines.sqlite.files import FileDatabase, has_code


def reason_of(database: FileDatabase, error: Exception) -> str:
    """Why a statement or an opening failed, and what would help."""
    if not database.in_memory and os.path.isdir(database.path):
        return "it is a folder"
    if has_code(error, "SQLITE_BUSY_SNAPSHOT"):
        return "another connection has written since this transaction began to read; begin it with IMMEDIATE"
    if has_code(error, "SQLITE_BUSY", "SQLITE_LOCKED"):
        return (
            f"it is locked: for {database.busy_timeout:g} s (busy_timeout) another process or thread, the server "
            "perhaps, was writing or had left a transaction open; nothing was written, so try again"
        )
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


def _obstacle(database: FileDatabase) -> str:
    folder = os.path.dirname(database.path)
    try:
        os.stat(database.path)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            return f"the folder {folder!r} does not exist"
        if database.read_only:
            return "there is no such file, and read_only=True creates none"
    except PermissionError:
        return "this user may not enter its folder"
    except OSError as error:
        return f"it cannot be reached: {error.strerror}"
    if database.read_only and os.access(database.path, os.R_OK):
        return (
            "it is in WAL mode and its folder may not be written, which even reading needs; allow that, "
            "read it while the server has it open, or read a copy in another folder"
        )
    return "this user may not read and write the file and its folder"
