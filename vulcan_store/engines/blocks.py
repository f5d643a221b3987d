"""Peewee's blocks (``atomic()``, ``transaction()``, ``savepoint()``), which no signal handler can leave open.

Python looks for signals as it begins a function, so an exception of a handler can keep an ``__exit__`` that is written
in Python from being run at all: of short blocks hit at random one in four stayed open. As it resumes a generator, it
raises where that stands. So a block is a generator, whose one ``try`` reaches from its beginning to its end, and
``with`` resumes it through callables made of C alone, which it fetches before the block is entered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from peewee import _atomic, _manual, _savepoint, _transaction

from vulcan_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from vulcan_store.engines.contract import Engine

Steps = Generator[Any, Any, None]
"""A block: begun by the first step, and ended by the second of four, to which ``EXIT`` sends False, the type of an
exception or None, the exception and its traceback."""


class Step:
    """``__enter__`` or ``__exit__`` of a block, as a callable made of C.

    Args:
        resume: makes it of the block's generator.
    """

    def __init__(self, resume: Callable[[Steps], Callable[..., Any]]) -> None:
        self.resume = resume

    def __get__(self, block: Any, kind: object = None) -> Any:
        if block is None:
            return self
        # Threads may share a block. CPython 3.14 fetches its end first, so either may be the one to begin it.
        running = block.__dict__.setdefault("running", {})
        mine = running.setdefault(threading.get_ident(), [])
        if not mine or mine[0].gi_frame is None:
            mine[:] = [block.steps(mine)]
        elif self is ENTER and mine[0].gi_suspended:
            raise RuntimeError("a block cannot be entered again within itself; make another one")
        return self.resume(mine[0])

    def __call__(self, block: Any, *error: Any) -> Any:
        """As ``contextlib.ExitStack`` calls it: on the class."""
        return self.__get__(block)(*error)


# max() calls its key for each of its arguments, False and the three that ``with`` gives, and returns the first of those
# whose key is the largest: False, so that no exception is swallowed. A block that was not entered takes only None.
ENTER, EXIT = Step(lambda steps: steps.__next__), Step(lambda steps: partial(max, False, key=steps.send))
LARGEST, SMALLER = 1, 0


class Block:
    """What Peewee's blocks have in common: their steps, which ``with`` resumes."""

    db: Engine
    _begin: Callable[[], None]
    if not TYPE_CHECKING:
        __enter__, __exit__ = ENTER, EXIT


class Transaction(Block, _transaction):
    """Peewee's transaction.

    It belongs to the thread that entered it. Left in another one, as a framework does that runs the two halves of a
    generator in different threads, it is rolled back and says so.
    """

    def steps(self, running: list[Steps]) -> Steps:
        """The steps of the block, which stand in a list while they run."""
        stack, borrower = self.db._state.transactions, self.db._state.borrower
        depth = len(stack)
        try:
            if not depth:
                self._begin()
            stack.append(self)
            yield self
            error = yield LARGEST
            if self.db._state.transactions is not stack:
                self._end_elsewhere(stack, borrower, error)
            elif error is not None:
                self._undo(stack, depth)
            else:
                del stack[depth:]
                if not depth:
                    self.commit(False)
        except GeneratorExit:  # it was never left, as a session that Peewee's session_commit() has ended
            raise
        except BaseException:
            self._undo(stack, depth)
            raise
        running.pop()
        while True:
            yield SMALLER

    def commit(self, begin: bool = True) -> None:
        """As in Peewee."""
        self._outside_of_blocks(super().commit, begin)

    def rollback(self, begin: bool = True) -> None:
        """As in Peewee."""
        self._outside_of_blocks(super().rollback, begin)

    def _outside_of_blocks(self, end: Callable[[bool], None], begin: bool) -> None:
        # What is called after a commit, and what begins the transaction anew, is in no transaction.
        stack = self.db._state.transactions
        outer = stack[:]
        del stack[:]
        try:
            end(begin)
        finally:
            stack[:] = outer

    def _undo(self, stack: list[Any], depth: int) -> None:
        # Not from this block on: Peewee's sessions may have taken it away, and put others in its place.
        del stack[depth:]
        if not stack:
            self.db.undo()

    def _end_elsewhere(self, stack: list[Any], borrower: Any, error: Any) -> None:
        if self in stack:
            stack.remove(self)
        self.db.pool.discard(borrower, now=False)  # of which a forked child has nothing any more
        if error is None:
            raise StoreUnavailableError(
                self.db.target,
                "this transaction was left in another thread, or a forked process, than it was entered in, and what "
                "was done in it here is not kept; enter and leave `atomic()` in the same function",
            )


class Savepoint(Block, _savepoint):
    """Peewee's savepoint."""

    def steps(self, running: list[Steps]) -> Steps:
        """As :meth:`Transaction.steps`."""
        try:
            self._begin()
            yield self
            error = yield LARGEST
            if error is None:
                self.commit(False)
            else:
                self.db.undo_savepoint(self.quoted_sid)
        except GeneratorExit:
            raise
        except self.db.errors as failure:
            self.db.undo_savepoint(self.quoted_sid)
            self.db.raise_translated(failure)
        except BaseException:
            self.db.undo_savepoint(self.quoted_sid)
            raise
        running.pop()
        while True:
            yield SMALLER


class Atomic(Block, _atomic):
    """Peewee's choice of a transaction or, within one, a savepoint."""

    _transaction_args: Any

    def steps(self, running: list[Steps]) -> Steps:
        """The steps of what is chosen when the block is entered."""
        args, kwargs = self._transaction_args
        stack = self.db._state.transactions
        if not stack and not self.db.is_transaction_open():
            return self.db.transaction(*args, **kwargs).steps(running)
        if stack and isinstance(stack[-1], _manual):
            raise ValueError("Cannot enter atomic commit block while in manual commit mode.")
        return self.db.savepoint().steps(running)
