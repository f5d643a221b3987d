"""Where a store's file is, and whether it is still there: what is written to one that was taken away would be lost."""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any
from urllib.parse import quote

from vulcan_store.engines.sqlite.driver import sqlite3
from vulcan_store.errors import StoreUnavailableError

OLDEST = (3, 36, 0)
"""It has RETURNING, and databases in memory that connections share: https://www.sqlite.org/releaselog/3_36_0.html"""

MAX_NAME, MAX_PATH = 255 - len("-journal"), 512 - len("-journal")
"""How many bytes a name may have in most file systems, and how many SQLite takes of a path, beyond which it fails later
without saying why: https://github.com/sqlite/sqlite/blob/master/src/os_unix.c, MAX_PATHNAME."""

_NO_PATH = r"(?is)file:|sqlite:(?!//(/|\Z))|sqlite:.*\?"
_DRIVER_OPTIONS = r"\?_\w+=[^&]*(&_\w+=[^&]*)*\Z"
"""The options of the server's driver: one ``VULCAN_DB_PATH`` serves both programs."""


def path_of(target: str) -> str:
    """The absolute path that a target names, or ``":memory:"``.

    Raises:
        StoreUnavailableError: it names none, or SQLite is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise StoreUnavailableError(target, f"SQLite {needed} or newer is needed, this is {sqlite3.sqlite_version}")
    if re.match(_NO_PATH, target):
        raise StoreUnavailableError(
            target,
            "this is not the path of a file; write the path alone, sqlite:///path, or \":memory:\", and in place of "
            "what stands behind a ? give open_store(read_only=True) or pragmas={\"busy_timeout\": milliseconds}; "
            f"a file of this very name is ./{target}",
        )
    path = target
    if target.lower().startswith("sqlite:"):
        _, slashes, path = target.partition("///")
        path = path if slashes else ":memory:"  # as Peewee reads it
    path = re.sub(_DRIVER_OPTIONS, "", path)
    if path == ":memory:":
        return path
    if not re.fullmatch(r"(?!:)[^\0]*[^\s\0/]", path):
        raise StoreUnavailableError(
            target,
            "this is not the path of a file, for it is empty, begins with a colon, ends in white space or a slash, or "
            f"holds a NUL; write \":memory:\" for memory, or ./{path.strip()}",
        )
    path = os.path.abspath(path)  # so that it stays the same file when the process changes its folder
    if os.path.exists(path) and not os.path.isfile(path):
        raise StoreUnavailableError(target, "this is no regular file, but a folder, a pipe, a device or a socket")
    real = os.fsencode(os.path.realpath(path))
    if len(real) > MAX_PATH or len(os.path.basename(real)) > MAX_NAME:
        raise StoreUnavailableError(
            target, f"its path is too long: {MAX_PATH} bytes are the most, {MAX_NAME} of them for the name of the file"
        )
    return path


def require_one_name(target: str, path: str) -> None:
    """Raise StoreUnavailableError for a file that has two names, by which two programs would lose each other's writes.

    SQLite keeps a ``-wal`` for each name: https://www.sqlite.org/howtocorrupt.html, section 2.5.
    """
    try:
        links = os.stat(path).st_nlink
    except OSError:
        return
    if links > 1:
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


def uri_of(path: str, mode: str) -> str:
    """The URI by which SQLite opens an absolute path: https://www.sqlite.org/uri.html."""
    return f"file://{quote(os.fsencode(path))}?mode={mode}"


def is_missing(target: str) -> bool:
    """Whether a target names a file that is not there; a server's URL names none."""
    if "://" in target and not target.lower().startswith("sqlite:"):
        return False
    path = path_of(target)
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return path != ":memory:"
    except OSError:
        pass  # it may be there
    return False


_statx: Any = getattr(ctypes.CDLL(None), "statx", None)
_Statx = ctypes.c_uint64 * 32


def identity_of(path: bytes) -> tuple[int, int] | None:
    """The device and inode of a file, by which it is known whatever its name; None if there is none.

    Its times are not looked at: a kernel that tells apart the times of changes between two looks writes them anew after
    each look, and a commit that waits for the disk takes a third longer then:
    https://docs.kernel.org/filesystems/multigrain-ts.html
    """
    found = _Statx()
    # https://man7.org/linux/man-pages/man2/statx.2.html: AT_FDCWD and STATX_INO, and what is asked for as 64 bits each.
    if _statx is not None and not _statx(-100, path, 0, 0x100, found):
        return found[17], found[4]
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class KeptFile:
    """An open file, and the -wal beside it that holds what was committed last.

    The -wal is there as long as a connection is, unless somebody took it away, or took away the locks of this process:
    https://www.sqlite.org/howtocorrupt.html, section 2.2.

    Attributes:
        identity: which file it is, once that is known.
        wal_identity: which file the -wal is, as long as that is known.
    """

    def __init__(self, target: str, path: str) -> None:
        self.target, self.path = target, os.fsencode(path)
        self.wal_path = os.path.realpath(self.path) + b"-wal"
        self.identity: tuple[int, int] | None = None
        self.wal_identity: tuple[int, int] | None = None

    def check_file(self) -> None:
        """Raise StoreUnavailableError if the path no longer leads to the open file."""
        if self.identity is not None and identity_of(self.path) != self.identity:
            raise StoreUnavailableError(
                self.target,
                "its file was deleted or replaced while it was open; close the store, take away what is left of the "
                "old file (its -wal and -shm, which would be taken for the new one's), and open it again",
            )

    def check(self) -> None:
        """As :meth:`check_file`, and for the -wal; while a connection is lent, or another thread may close the last."""
        self.check_file()
        if self.wal_identity is not None and identity_of(self.wal_path) != self.wal_identity:
            raise StoreUnavailableError(
                self.target,
                "its -wal was taken away while it was open, by another process, or because something in this process "
                "opened and closed the database file, which drops SQLite's locks; what was written since is lost. "
                "Close the store and open it again",
            )
