"""A restore: SQLite's online backup with the store as its destination, https://www.sqlite.org/backup.html."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vulcan_store.engines.sqlite.driver import has_code, opened, sqlite3
from vulcan_store.engines.sqlite.paths import uri_of
from vulcan_store.engines.sqlite.reasons import locked
from vulcan_store.errors import SchemaMismatchError, StoreUnavailableError

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine

BUSY = (5, 6)
"""Busy and locked: https://www.sqlite.org/rescode.html#busy"""
COLUMNS = (
    "SELECT each.name FROM sqlite_master AS found, pragma_table_info(found.name) AS each "
    "WHERE found.type = 'table' AND found.name = ? COLLATE NOCASE"
)
"""The columns of a table; of a view none."""


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
        database.pool.lend_another(copy)
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
