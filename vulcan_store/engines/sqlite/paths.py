"""Where a store's file is, and which file it is."""

from __future__ import annotations

import os
import sqlite3

from vulcan_store.errors import StoreUnavailableError

OLDEST = (3, 35, 0)  # RETURNING: https://www.sqlite.org/lang_returning.html
OLDEST_IN_MEMORY = (3, 36, 0)  # a memdb that connections share: https://www.sqlite.org/releaselog/3_36_0.html

SQLITE_URL = "sqlite://"


def path_of(target: str) -> str:
    """The absolute path that a target names, or ``":memory:"``.

    Raises:
        StoreUnavailableError: it names none, or SQLite is too old.
    """
    oldest, path = OLDEST_IN_MEMORY, target
    if target.lower().startswith(SQLITE_URL):
        host, slash, path = target[len(SQLITE_URL):].partition("/")
        if host:
            raise StoreUnavailableError(target, "a file has no host; write sqlite:///name, or sqlite:////folder/name")
        path = path if slash else ":memory:"  # as Peewee reads it
    if path != ":memory:":
        oldest = OLDEST
        if not path or "\0" in path:
            raise StoreUnavailableError(target, "this is no path of a file")
        path = os.path.abspath(path)  # so that it stays the same file when the process changes its folder
    if sqlite3.sqlite_version_info < oldest:
        needed = ".".join(map(str, oldest))
        raise StoreUnavailableError(target, f"SQLite {needed} or newer is needed, this is {sqlite3.sqlite_version}")
    return path


def uri_of(path: str, mode: str) -> str:
    """The URI by which SQLite opens an absolute path: https://www.sqlite.org/uri.html."""
    parts = (chr(byte) if byte < 128 and byte not in b"%?#" else f"%{byte:02x}" for byte in os.fsencode(path))
    return f"file://{''.join(parts)}?mode={mode}"


def is_missing(target: str) -> bool:
    """Whether a target names a file that is not there; a server's URL names none."""
    if "://" in target and not target.lower().startswith(SQLITE_URL):
        return False
    path = path_of(target)
    return path != ":memory:" and not os.path.exists(path)


def identity_of(path: str) -> tuple[int, int] | None:
    """The device and inode of a file, by which it is known whatever its name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
