"""Where a store's file is, and which file it is."""

from __future__ import annotations

import os
import re
import stat

from vulcan_store.engines.sqlite.driver import sqlite3
from vulcan_store.errors import StoreUnavailableError

OLDEST = (3, 35, 0)  # RETURNING: https://www.sqlite.org/lang_returning.html
OLDEST_IN_MEMORY = (3, 36, 0)  # a memdb that connections share: https://www.sqlite.org/releaselog/3_36_0.html

SQLITE_URL = "sqlite://"

MAX_NAME, MAX_PATH = 255 - len("-journal"), 512 - len("-journal")
"""How many bytes a name may have in most file systems, and how many SQLite takes of a path:
https://github.com/sqlite/sqlite/blob/master/src/os_unix.c, MAX_PATHNAME."""


def path_of(target: str) -> str:
    """The absolute path that a target names, or ``":memory:"``.

    Raises:
        StoreUnavailableError: it names none, or SQLite is too old.
    """
    path = _named_path(target)
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
    path = _without_driver_options(path)
    if not path or "\0" in path:
        raise StoreUnavailableError(target, "this is no path of a file")
    if path.startswith(":"):
        raise StoreUnavailableError(target, f'write ":memory:" for memory; a file of this very name is ./{path}')
    if path != path.rstrip():
        raise StoreUnavailableError(target, f"its name ends in white space; write {path.rstrip()!r}")
    if os.path.basename(path) in ("", ".", ".."):
        raise StoreUnavailableError(target, "this is the path of a folder; write the name of a file in it")
    path = os.path.abspath(path)  # so that it stays the same file when the process changes its folder
    if _is_special(path):
        raise StoreUnavailableError(
            target, 'this is no regular file, but a pipe, a device or a socket; write a path, or ":memory:"'
        )
    _require_room(target, os.path.realpath(path))
    return path


def _without_driver_options(path: str) -> str:
    """The path before the options of the server's driver: one ``VULCAN_DB_PATH`` serves both programs."""
    name, mark, options = path.partition("?")
    if mark and all(re.match(r"_[A-Za-z_]+=", option) for option in options.split("&")):
        return name
    return path


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def require_one_name(target: str, path: str) -> None:
    """Raise StoreUnavailableError for a file that has two names, by which two programs would lose each other's writes.

    SQLite keeps a ``-wal`` for each name: https://www.sqlite.org/howtocorrupt.html, section 2.5.
    """
    try:
        found = os.stat(path)
    except OSError:
        return
    links = found.st_nlink
    if stat.S_ISREG(found.st_mode) and links > 1:
        raise StoreUnavailableError(
            target,
            f"its file has {links} names (hard links), and SQLite would keep a -wal for each and lose writes; leave "
            "one name, and use symbolic links for others",
        )
    if os.path.realpath(path) in _mount_points():
        raise StoreUnavailableError(
            target,
            "its file is mounted by itself, so that its -wal lies in another folder than that of other programs, and "
            "writes would be lost; mount its folder instead",
        )


def _mount_points() -> set[str]:
    # https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: blanks in a path are written in octal.
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as mounts:
            points = [line.split(" ")[4] for line in mounts]
    except OSError:
        return set()
    return {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point) for point in points}


def _require_room(target: str, path: str) -> None:
    # SQLite appends -journal, -wal and -shm, and fails later without saying why.
    for what, text, most in ("name", os.path.basename(path), MAX_NAME), ("path", path, MAX_PATH):
        size = len(os.fsencode(text))
        if size > most:
            raise StoreUnavailableError(target, f"its {what} has {size} bytes and is too long: {most} are the most")


def uri_of(path: str, mode: str) -> str:
    """The URI by which SQLite opens an absolute path: https://www.sqlite.org/uri.html."""
    parts = (chr(byte) if byte < 128 and byte not in b"%?#" else f"%{byte:02x}" for byte in os.fsencode(path))
    return f"file://{''.join(parts)}?mode={mode}"


def is_missing(target: str) -> bool:
    """Whether a target names a file that is not there; a server's URL names none."""
    if "://" in target and not target.lower().startswith(SQLITE_URL):
        return False
    path = path_of(target)
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return path != ":memory:"
    except OSError:
        pass  # it may be there
    return False


def identity_of(path: str) -> tuple[int, int] | None:
    """The device and inode of a file, by which it is known whatever its name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
