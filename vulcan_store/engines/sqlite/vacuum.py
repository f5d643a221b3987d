"""SQLite's VACUUM, which writes a file anew without the room that deleted rows have left in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vulcan_store.engines.sqlite.engine import SqliteEngine


def vacuum(database: SqliteEngine) -> int:
    """Write the file anew, and return by how many bytes it is smaller once nobody reads its old state any more.

    Raises:
        sqlite3.Error: this thread is in a transaction, somebody is writing, or what else SQLite cannot do.
    """

    def work(connection: Any) -> int:
        before = _size(connection)
        connection.execute("VACUUM")
        # What is in the -wal has to be in the file before it shrinks: https://www.sqlite.org/pragma.html
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return before - _size(connection)

    return database.with_connection(work)


def _size(connection: Any) -> int:
    sizes = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    return int(sizes.fetchone()[0])
