"""The cursor of Peewee's own queries: it runs a statement to its end and then hands out the rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from vulcan_store.engines.contract import Engine

Row = tuple[Any, ...]


class Cursor:
    """A cursor of the DB-API that holds no connection, no lock and no snapshot once a statement has run.

    https://peps.python.org/pep-0249/#cursor-objects; what is not said here is the cursor's of the driver.
    """

    arraysize = 1
    driver_cursor: Any = SimpleNamespace(description=None, rowcount=-1)
    rows: Iterator[Row] = iter(())

    def __init__(self, database: Engine, run: Callable[..., Any]) -> None:
        self.database, self.run = database, run

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """Run a statement and read all of its rows."""
        self.driver_cursor, rows = self.database.with_connection(self.run, sql, parameters)
        self.rows = iter(rows)
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Self:
        """Run a statement for each of several rows, all or none of them."""
        database = self.database
        with database.whole():
            self.driver_cursor, _ = database.with_connection(database.run_many, sql, map(database.adapted, rows))
        return self

    def executescript(self, script: str) -> Self:
        """Run several statements, on SQLite."""
        self.database.check_still_there()
        self.driver_cursor = self.database.with_connection(lambda connection: connection.executescript(script))
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver_cursor, name)

    def fetchone(self) -> Row | None:
        """The next row."""
        return next(self.rows, None)

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next rows."""
        return list(itertools.islice(self.rows, self.arraysize if size is None else size))

    def fetchall(self) -> list[Row]:
        """The rows that are left."""
        return list(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return self.rows

    def __next__(self) -> Row:
        return next(self.rows)

    def close(self) -> None:
        """Drop the rows that are left."""
        self.rows = iter(())
