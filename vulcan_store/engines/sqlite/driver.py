"""The copy of SQLite that Peewee uses: two of them in a process break each other's locks.

https://www.sqlite.org/howtocorrupt.html, section 2.2.1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
else:
    from peewee import sqlite3

__all__ = ["has_code", "sqlite3"]


def has_code(error: BaseException, *names: str) -> bool:
    """Whether an error has one of SQLite's result codes, or a finer one of it: https://www.sqlite.org/rescode.html."""
    code = getattr(error, "sqlite_errorname", "")
    return any(code == name or code.startswith(name + "_") for name in names)
