"""The one clock, and the one place where time becomes text and text becomes time."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

# Go's time.Time.String(): "2026-02-18 13:12:42.123456789 +0200 CEST m=+0.123".
# https://pkg.go.dev/time#Time.String
_GO = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) ([+-]\d{4})(?: [^ ]+)?(?: m=[+-][\d.]+)?")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

parse = datetime.fromisoformat

# Two digits, looked up in half of the time that isoformat() takes for them.
_TWO = [f"{number:02d}" for number in range(100)]

# The second of which a time was made last, since the epoch, and the text that its times begin with.
_second: tuple[int | None, str] = None, ""


def now() -> datetime:
    """The time, aware and in UTC."""
    return parse(now_as_text())


def now_as_text() -> str:
    """:func:`now` as it is stored."""
    global _second
    # Rounded, because what freezes clocks in tests makes nanoseconds of a float.
    second, microsecond = divmod((time.time_ns() + 500) // 1_000, 1_000_000)
    known, text = _second
    if second != known:
        text = to_text(_EPOCH + timedelta(seconds=second)).partition(".")[0]
        _second = second, text
    return f"{text}.{microsecond:06d}+00:00"


def to_text(moment: datetime) -> str:
    """An aware time as it is stored: in UTC, with six decimals, so that the order of text is the order of time.

    Raises:
        OverflowError: in UTC it lies outside the years 1 to 9999.
    """
    if moment.tzinfo is not UTC:
        moment = datetime.astimezone(moment, UTC)
    century, year = divmod(moment.year, 100)
    return (
        f"{_TWO[century]}{_TWO[year]}-{_TWO[moment.month]}-{_TWO[moment.day]} {_TWO[moment.hour]}:"
        f"{_TWO[moment.minute]}:{_TWO[moment.second]}.{moment.microsecond:06d}+00:00"
    )


def to_bound(moment: datetime) -> str:
    """The text that every stored form of an aware time starts with, so that none of an earlier time is above it.

    A server's driver leaves trailing zeros out ("...:42 +0000 UTC" for "...:42.000000+00:00").
    """
    return to_text(moment)[:26].rstrip("0").rstrip(".")


def from_text(text: Any) -> Any:
    """A stored time as an aware ``datetime`` in UTC, cut to microseconds; what is no time comes back as it is."""
    moment = text
    if not isinstance(text, datetime):  # as a driver that knows times makes one, in its session's time zone
        try:
            moment = parse(text)
        except TypeError:
            return text
        except ValueError:
            try:
                moment = parse("".join(_GO.fullmatch(text).groups()))  # type: ignore[union-attr]
            except (AttributeError, ValueError):
                return text
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:  # CURRENT_TIMESTAMP, which is in UTC: https://www.sqlite.org/lang_createtable.html
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return str(text)


def is_before(text: Any, moment: datetime) -> bool:
    """Whether a stored time is one, and before another; by the instant, whatever zone it is written in."""
    found = from_text(text)
    return isinstance(found, datetime) and found < moment
