"""What keeps engines sound when a process forks.

A child inherits SQLite's memory of which locks its process holds, but not the locks. If a connection were open at
the fork, one that the child opened later would count on locks that it does not have, and the WAL could be deleted
under it: https://www.sqlite.org/howtocorrupt.html, section 2.6. So connections to files are closed before a process
forks, and opened again as they are needed. A transaction of another thread is waited for; if that takes longer than the
busy timeout, or the forking thread is in one itself, the child is refused instead.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vulcan_store.engines.contract import Engine

# Held while a connection to a file is opened or closed, and while the process forks: SQLite's own mutexes are free
# then, and of several connections that are closed at once the last finds itself alone and takes the WAL away. It is
# always taken last, and whoever has it waits for nothing but the import of an engine.
opening_or_closing = threading.RLock()

engines: set[Engine] = set()
"""Those that take part in forks."""

# Threads fork one at a time.
_turn = threading.RLock()


def _before_fork() -> None:
    try:
        _turn.acquire()
        _prepare()
    except BaseException:
        for lock in (_turn, opening_or_closing):
            if not is_mine(lock):
                lock.acquire()  # Python goes on with the fork, whatever is raised here
        raise


def _prepare() -> None:
    while True:
        for engine in list(engines):
            engine.before_fork()
        opening_or_closing.acquire()
        if all(engine.is_ready() for engine in list(engines)):
            return
        opening_or_closing.release()


def _after_fork_in_parent() -> None:
    if is_mine(_turn):
        if is_mine(opening_or_closing):
            opening_or_closing.release()
        for engine in list(engines):
            engine.after_fork_in_parent()
        _turn.release()


def _after_fork_in_child() -> None:
    global _turn, opening_or_closing
    _turn, opening_or_closing = threading.RLock(), threading.RLock()
    for engine in engines:
        engine.after_fork_in_child()


def is_mine(lock: threading.RLock) -> bool:
    """Whether this thread has a lock."""
    return lock._is_owned()  # type: ignore[attr-defined, no-any-return]


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
# Once more, since an exception of a signal handler may keep the first from being run.
os.register_at_fork(after_in_parent=_after_fork_in_parent)
