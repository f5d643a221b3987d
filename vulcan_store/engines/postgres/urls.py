"""What a URL says: to libpq everything but the four settings that are the store's own."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from vulcan_store.engines.contract import without_password
from vulcan_store.engines.postgres.driver import conninfo, driver
from vulcan_store.errors import StoreUnavailableError

CONNECT_TIMEOUT = 5
"""Seconds that connecting may take, unless ``connect_timeout`` in the URL or ``$PGCONNECT_TIMEOUT`` says otherwise."""

_UNREADABLE = "write @ # % / ? in a name or a password as %40 %23 %25 %2F %3F, and a port in digits"


class Settings(NamedTuple):
    """The store's own parameters of a URL.

    Attributes:
        pool_size: how many connections there are at most.
        pool_timeout: seconds that a caller waits for one of them.
        lock_timeout: milliseconds that a statement waits for a row that is locked; 0 for as long as it takes.
        prepare_threshold: after how many runs the server keeps a statement prepared; None for never.
    """

    pool_size: int = 10
    pool_timeout: float = 30.0
    lock_timeout: int = 5000
    prepare_threshold: int | None = None


def read_url(url: str) -> tuple[str, str, Settings]:
    """The URL as it may be shown, the connection string for libpq, and the store's own settings.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS

    Raises:
        StoreUnavailableError: it cannot be read; no part of a password is shown.
    """
    shown = without_password(url)
    scheme, _, rest = url.partition("://")
    # libpq repeats what it cannot read, and would look up what stands behind a second @ in the DNS.
    if shown.endswith("://...") or re.search("%(?![0-9A-Fa-f]{2})|%00", rest):
        raise StoreUnavailableError(f"{scheme}://...", f"it cannot be read as a URL; {_UNREADABLE}")
    place, _, query = rest.partition("?")
    given = [part.partition("=") for part in query.split("&") if part]
    own = {unquote(name): unquote_plus(value) for name, _, value in given if unquote(name) in Settings._fields}
    others = "&".join("".join(part) for part in given if unquote(part[0]) not in Settings._fields)
    reason, parameters = None, dict[str, Any]()
    try:
        # A capital letter in the scheme is taken here, but not by libpq.
        parameters = conninfo.conninfo_to_dict(f"{scheme.lower()}://{place}{others and '?'}{others}")
    except driver.Error as error:
        reason = str(error).strip()
    if reason is not None:  # raised here, where libpq's error, which may repeat the URL, is not its context
        raise StoreUnavailableError(
            shown, reason if "query parameter" in reason else f"it cannot be read; {_UNREADABLE}"
        )
    if "PGCONNECT_TIMEOUT" not in os.environ:
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT)
    parameters["client_encoding"] = "utf8"  # whatever the database's own; one that is not Unicode could not hold text
    return shown, conninfo.make_conninfo("", **parameters), _settings(shown, own)


def _settings(target: str, own: dict[str, str]) -> Settings:
    numbers: dict[str, Any] = {}
    for name, text in own.items():
        least = 1 if name == "pool_size" else 0
        try:
            numbers[name] = float(text) if name == "pool_timeout" else int(text)
        except ValueError:
            numbers[name] = -1
        if not least <= numbers[name] < 2**31:
            raise StoreUnavailableError(target, f"?{name}={text} in its URL must be a number from {least}")
    return Settings(**numbers)
