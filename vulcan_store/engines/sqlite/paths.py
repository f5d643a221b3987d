"""Where a store's file is, and which file it is."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import peewee

from vulcan_store.errors import StoreUnavailableError

OLDEST = (3, 35, 0)  # RETURNING: https://www.sqlite.org/lang_returning.html
OLDEST_IN_MEMORY = (3, 36, 0)  # a memdb that connections share: https://www.sqlite.org/releaselog/3_36_0.html

SQLITE_URL = "sqlite://"

MAX_PATH = 512 - len("-journal")
"""How many bytes SQLite takes of a path: https://github.com/sqlite/sqlite/blob/master/src/os_unix.c, MAX_PATHNAME."""


def path_of(target: str) -> str:
    """The absolute path that a target names, or ``":memory:"``.

    Raises:
        StoreUnavailableError: it names none, or SQLite is too old, or is not the one that Peewee uses.
    """
    path = _named_path(target)
    theirs: Any = getattr(peewee, "sqlite3")
    if theirs is not sqlite3:
        raise StoreUnavailableError(
            target,
            f"Peewee uses {theirs.__name__} here, and two copies of SQLite in a process break each other's "
            "locks (https://www.sqlite.org/howtocorrupt.html, section 2.2.1); uninstall pysqlite3",
        )
    oldest = OLDEST_IN_MEMORY if path == ":memory:" else OLDEST
    if sqlite3.sqlite_version_info < oldest:
        needed = ".".join(map(str, oldest))
        raise StoreUnavailableError(target, f"SQLite {needed} or newer is needed, this is {sqlite3.sqlite_version}")
    return path


def _named_path(target: str) -> str:
    path = target
    if target.lower().startswith(SQLITE_URL):
        host, slash, path = target[len(SQLITE_URL):].partition("/")
        if "?" in target:
            start = target.partition("?")[0]
            raise StoreUnavailableError(
                target,
                f"a sqlite URL has no options here; write {start}, and give open_store(read_only=True) or "
                'pragmas={"busy_timeout": milliseconds} instead; a file whose name holds a ? is opened by its path',
            )
        if host:
            raise StoreUnavailableError(target, "a file has no host; write sqlite:///name, or sqlite:////folder/name")
        path = path if slash else ":memory:"  # as Peewee reads it
    elif target.lower().startswith(("sqlite:", "file:")):
        name = target.partition(":")[2].partition("?")[0]
        if name == ":memory:":
            wanted = '":memory:"'
        else:
            wanted = f"{name or 'the path'}, and read_only=True in place of ?mode=ro"
        raise StoreUnavailableError(
            target, f"this is not a path; write {wanted}. A file of this very name is ./{target}"
        )
    if path == ":memory:":
        return path
    if not path or "\0" in path:
        raise StoreUnavailableError(target, "this is no path of a file")
    if os.path.basename(path) in ("", ".", ".."):
        raise StoreUnavailableError(target, "this is the path of a folder; write the name of a file in it")
    path = os.path.abspath(path)  # so that it stays the same file when the process changes its folder
    _require_room(target, os.path.realpath(path))
    return path


def _require_room(target: str, path: str) -> None:
    # SQLite appends -journal, -wal and -shm, and fails later without saying why.
    folder, name = os.path.split(os.fsencode(path))
    try:
        max_name = os.pathconf(folder, "PC_NAME_MAX") - len("-journal")
    except (OSError, ValueError):
        max_name = 255 - len("-journal")
    if len(name) > max_name:
        raise StoreUnavailableError(
            target,
            f"its name has {len(name)} bytes and is too long: {max_name} are the most, for SQLite appends -journal",
        )
    if len(os.fsencode(path)) > MAX_PATH:
        raise StoreUnavailableError(
            target, f"its path has {len(os.fsencode(path))} bytes and is too long: SQLite takes {MAX_PATH} at most"
        )


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
