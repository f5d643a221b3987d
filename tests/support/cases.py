"""Several cases in one test, which says which of them it was that failed: a test for each takes far longer."""

import functools
import inspect
import reprlib
from collections.abc import Mapping
from contextlib import contextmanager


@contextmanager
def case(*what):
    """Names a case below the error that it raises."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {', '.join(map(reprlib.repr, what))}")
        raise


def each(names, cases):
    """Call a test with the values of each case in turn, as ``pytest.mark.parametrize`` has it, but within one test.

    Its other fixtures are made once, and its store is emptied before each case. Of a mapping the keys name the cases.
    """
    names = names.split(", ")
    cases = list(cases.items() if isinstance(cases, Mapping) else enumerate(cases))

    def decorate(test):
        @functools.wraps(test)
        def in_turn(**fixtures):
            store = fixtures.get("store") or fixtures.get("file_store")
            for name, values in cases:
                if store:
                    empty(store)
                with case(name, values):
                    test(**fixtures, **dict(zip(names, values if len(names) > 1 else [values], strict=True)))

        signature = inspect.signature(test)
        needed = [argument for argument in signature.parameters.values() if argument.name not in names]
        in_turn.__signature__ = signature.replace(parameters=needed)
        return in_turn

    return decorate


def empty(store):
    """Delete all that is stored, and let nobody watch."""
    del store.database.query_hooks[:]
    for table in ("log_lines", "workloads"):
        store.database.execute_sql(f"DELETE FROM {table}")
