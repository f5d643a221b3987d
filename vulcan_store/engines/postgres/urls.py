"""What a URL says: to libpq everything but the four settings that are the store's own."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

import psycopg
from psycopg import conninfo

from vulcan_store.errors import StoreUnavailableError

CONNECT_TIMEOUT = 5
"""Seconds that connecting may take, unless ``connect_timeout`` in the URL or ``$PGCONNECT_TIMEOUT`` says otherwise."""

_HOST = r"(?:\[[^][]*\]|[^][:/?#@,]*)(?::\d*)?"
_PLACE = re.compile(rf"(?:([^:/?#@]*)(?::[^/?#@]*)?(@))?({_HOST}(?:,{_HOST})*(?:/[^?#@]*)?)(?:\?([^#@]*))?")
"""A user, an @, hosts with the name of a database, and parameters. A password that holds an @, a # or one of the marks
as it is leaves an @ where none fits, or a # anywhere."""

_UNREADABLE = (
    "it cannot be read; write @ # % / ? in a name or a password as %40 %23 %25 %2F %3F, and a port in digits"
)


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
    scheme, _, rest = url.partition("://")
    found = _PLACE.fullmatch(rest)
    if not found:
        raise StoreUnavailableError(f"{scheme}://...", _UNREADABLE)
    user, at, place, query = found.groups("")
    own, others, shown = dict[str, str](), list[str](), list[str]()
    for part in filter(None, query.split("&")):
        name, _, value = unquote(part).partition("=")
        if name in Settings._fields:
            own[name] = value
        else:
            others.append(part)
        if not re.search("password|secret", name, re.IGNORECASE):
            shown.append(part)
    reason, parameters = "", dict[str, Any]()
    try:
        # A capital letter in the scheme is taken here, but not by libpq.
        url = f"{scheme.lower()}://{rest.partition('?')[0]}?{'&'.join(others)}"
        parameters = conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        # What else libpq says may repeat a password.
        reason = str(error).strip() if "query parameter" in str(error) else _UNREADABLE
    if reason:  # raised here, where libpq's error is not its context
        raise StoreUnavailableError(f"{scheme}://...", reason)
    target = f"{scheme}://{user}{at}{place}{'?' if shown else ''}{'&'.join(shown)}"
    if "PGCONNECT_TIMEOUT" not in os.environ:
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT)
    parameters["client_encoding"] = "utf8"  # whatever the database's own; one that is not Unicode could not hold text
    return target, conninfo.make_conninfo("", **parameters), _settings(target, own)


def _settings(target: str, own: dict[str, str]) -> Settings:
    numbers: dict[str, Any] = {}
    for name, text in own.items():
        least = 1 if name == "pool_size" else 0
        try:
            numbers[name] = int(text) if text.isdecimal() else float(text)
        except ValueError:
            numbers[name] = -1
        if not least <= numbers[name] < 2**31:
            raise StoreUnavailableError(target, f"?{name}={text} in its URL must be a number from {least}")
    return Settings(**numbers)
