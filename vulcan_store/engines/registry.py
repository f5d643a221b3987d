"""Which engine a target asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from vulcan_store.engines import forks
from vulcan_store.engines.contract import Engine
from vulcan_store.engines.sqlite.engine import SqliteEngine
from vulcan_store.errors import StoreUnavailableError

_URL = r"([A-Za-z][A-Za-z0-9+.-]*)://"


def engine_of(target: str) -> Callable[[str, Mapping[str, Any], bool], Engine]:
    """What makes a database, not connected yet, of a target, its pragmas, and whether it is only read.

    Raises:
        StoreUnavailableError: there is none for its scheme, or its driver is missing. Either shows the scheme alone,
            as the rest may hold a password.
    """
    url = re.match(_URL, target)
    scheme = url[1].lower() if url else "sqlite"
    if scheme == "sqlite":
        return SqliteEngine
    if scheme not in ("postgresql", "postgres"):
        raise StoreUnavailableError(
            f"{scheme}://...", f"there is no engine for {scheme}://, only for a path, sqlite:// and postgresql://"
        )
    try:
        # No fork in the middle of an import: the child would wait for ever for the rest of the module.
        with forks.opening_or_closing:
            from vulcan_store.engines.postgres.engine import PostgresEngine
    except ImportError as error:
        raise StoreUnavailableError(
            f"{scheme}://...",
            f"psycopg is needed for a server and is not there ({error}); pip install 'psycopg[binary]', or from a "
            "checkout of this package pip install '.[postgres]'",
        ) from error
    return PostgresEngine
