"""How the text of an argument becomes a value."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from vulcan_store.cli.usage import nearest
from vulcan_store.models import clock
from vulcan_store.models.fields import EnumField

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TIMES = (
    "Times are like 2026-02-18, 2026-02-18T11:12:42Z (in UTC, where no zone is given), or say how long ago: 30s, 15m, "
    "12h, 30d, 4w."
)


def moment(text: str) -> datetime:
    """A time, or how long ago one was, as an aware datetime."""
    ago = re.fullmatch(r"([0-9]+)([smhdw])", text)
    try:
        found = clock.now() - timedelta(**{UNITS[ago[2]]: int(ago[1])}) if ago else clock.from_text(text)
    except (OverflowError, ValueError):
        found = None
    if not isinstance(found, datetime):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, like 2026-02-18T11:12:42Z, 2026-02-18 or 30d")
    return found


def seconds(text: str) -> float:
    """A length of time in seconds: ``90s``, ``0.5s``, ``15m``, ``12h``, or a bare number of seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)", text)
    try:
        if found is not None:
            return timedelta(**{UNITS[found[2] or "s"]: float(found[1])}).total_seconds()
    except OverflowError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a length of time, like 60s, 15m or 12h")


def interval(text: str) -> float:
    """A length of time that is not zero."""
    if not (found := seconds(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no pause; give one like 2s")
    return found


def whole(text: str) -> int:
    """A whole number from 0."""
    if not re.fullmatch("[0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def counting(text: str) -> int:
    """A whole number from 1."""
    if not (found := whole(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return found


def one(text: str) -> list[str]:
    """A value of a filter as the collection that a repeated option adds up."""
    return [text]


def words_of(field: EnumField[Any]) -> Callable[[str], list[str]]:
    """The type of a filter on an enumeration: its words, with commas between."""

    def words(text: str) -> list[str]:
        found = text.split(",")
        for word in found:
            if word not in field.stored:
                raise argparse.ArgumentTypeError(f"{word!r} is not {field.expected}{nearest(word, field.stored)}")
        return found

    return words
