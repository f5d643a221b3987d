"""Which engine a target asks for."""

from __future__ import annotations

import importlib
import re

from vulcan_store.engines import forks
from vulcan_store.engines.contract import Engine, without_password
from vulcan_store.engines.sqlite.engine import SqliteEngine
from vulcan_store.errors import StoreUnavailableError

ENGINES = {
    "sqlite": "vulcan_store.engines.sqlite.engine:SqliteEngine",
    "postgresql": "vulcan_store.engines.postgres.engine:PostgresEngine",
    "postgres": "vulcan_store.engines.postgres.engine:PostgresEngine",
}
"""The engine of each kind of URL, imported when it is asked for. A further engine is one more entry here."""

_URL = r"([A-Za-z][A-Za-z0-9+.-]*)://"


def engine_of(target: str) -> type[Engine]:
    """The class of the engine that a target asks for.

    Raises:
        StoreUnavailableError: there is none for its scheme, or its driver is missing.
    """
    url = re.match(_URL, target)
    if url is None:
        return SqliteEngine
    scheme = url[1].lower()
    if scheme not in ENGINES:
        raise StoreUnavailableError(
            without_password(target),
            f"there is no engine for {scheme}://, only for a path and for {', '.join(ENGINES)}",
        )
    module, name = ENGINES[scheme].split(":")
    # No fork in the middle of an import: the child would wait for ever for the rest of the module.
    with forks.opening_or_closing:
        try:
            engine: type[Engine] = getattr(importlib.import_module(module), name)
        except StoreUnavailableError as error:  # its driver is missing
            raise StoreUnavailableError(without_password(target), error.reason) from error.__cause__
    return engine
