"""Several cases in one test, which says which of them it was that failed."""

from __future__ import annotations

from contextlib import contextmanager


@contextmanager
def case(*what):
    """Names a case below the error that it raises."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {', '.join(map(str, what))}")
        raise
