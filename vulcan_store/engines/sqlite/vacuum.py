"""SQLite's VACUUM, which writes a file anew without the room that deleted rows have left in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vulcan_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine


def vacuum(database: SqliteEngine) -> int:
    """Write the file anew, and return by how many bytes it is smaller.

    Raises:
        StoreUnavailableError: this thread is in a transaction, or somebody is in the middle of reading or writing.
        sqlite3.Error: what SQLite cannot do.
    """
    if database.is_transaction_open():
        raise StoreUnavailableError(database.target, "it cannot be vacuumed within a transaction; end that first")

    def work(connection: Any) -> int:
        before = _size(connection)
        # What is in the -wal has to be in the file, and nobody may need the old state, or the file could not shrink.
        if _is_in_use(connection):
            raise StoreUnavailableError(
                database.target,
                f"somebody else is in the way: for {database.busy_timeout:g} s (busy_timeout) another process or "
                "thread was reading or writing it; nothing was changed, so try again when it is quiet",
            )
        connection.execute("VACUUM")
        # Whoever begins to read just now only delays it: SQLite's next checkpoint shrinks the file then.
        _is_in_use(connection)
        return before - _size(connection)

    return database.with_connection(work)


def _size(connection: Any) -> int:
    sizes = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    return int(sizes.fetchone()[0])


def _is_in_use(connection: Any) -> bool:
    # https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
    ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return bool(busy)
