"""What the arguments of commands have in common: types, and the options that they share."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from vulcan_store.current import default_target, open_store
from vulcan_store.engines.sqlite.paths import is_missing
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.models import clock
from vulcan_store.models.fields import BytesField, EnumField, StrictIntegerField, TimeField
from vulcan_store.models.workload import Workload
from vulcan_store.store import Store

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
TIMES = (
    "Times are like 2026-02-18, 2026-02-18T11:12:42Z (in UTC, where no zone is given)\n"
    "or say how long ago: 30s, 15m, 12h, 30d, 4w."
)
HELP = {
    "id": "an id of your own instead of a new ULID",
    "node_id": "the node that runs it",
    "input_hash": "hash of its input",
    "output": "a file with the result; - is stdin",
    "cpu_limit": "virtual CPUs",
    "mem_limit": "memory in MB",
    "timeout_s": "seconds that it may run",
    "duration_ms": "milliseconds that it ran",
    "created_at": "when it was submitted; now unless given",
    "started_at": "when it last became running",
    "finished_at": "when it reached a final status",
}


TARGET = argparse.ArgumentParser(add_help=False)
TARGET.add_argument(
    "--db", metavar="TARGET", default=argparse.SUPPRESS, help="a path or URL (default: $VULCAN_DB_PATH, else vulcan.db)"
)


def moment(text: str) -> datetime:
    """A time, or how long ago one was, as an aware datetime."""
    try:
        ago = text[:1].isdigit() and text[-1:] in UNITS
        found = clock.now() - timedelta(seconds=seconds(text)) if ago else clock.from_text(text)
    except OverflowError:
        found = None
    if not isinstance(found, datetime):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, like 2026-02-18T11:12:42Z, 2026-02-18 or 30d")
    return found


def seconds(text: str) -> float:
    """A length of time in seconds: ``90s``, ``0.5s``, ``15m``, ``12h``, or a bare number of seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time, like 60s, 15m or 12h")
    return float(found[1]) * UNITS[found[2] or "s"]


def content(name: str) -> bytes:
    """What is in a file; ``-`` is stdin."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def words(text: str) -> list[str]:
    """Words with commas between."""
    return text.split(",")


def open_target(options: argparse.Namespace) -> Store:
    """The store that was named, opened for what the command does."""
    target = options.db if "db" in options else default_target()
    if not options.creates and is_missing(target):
        raise StoreUnavailableError(
            target, "there is no such file; create, import and restore make one, --db names another"
        )
    return open_store(target, read_only=options.reads)


def add_json(parser: argparse._ActionsContainer) -> None:
    """Whether to print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON in the server's form instead")


def add_filters(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Filters that may be given several times."""
    for name in names:
        field = Workload._meta.fields[name]
        about = HELP.get(name, field.expected)
        if isinstance(field, EnumField):
            parser.add_argument(option(name), action="extend", type=words, help=about)
        else:
            parser.add_argument(option(name), action="append", help=about)


TYPES: dict[type, Any] = {StrictIntegerField: int, TimeField: moment, BytesField: content}


def add_fields(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Fields to be stored; what is not given is not among the options."""
    for name in names:
        field = Workload._meta.fields[name]
        parser.add_argument(
            option(name), type=TYPES.get(type(field), str), choices=getattr(field, "members", None),
            default=argparse.SUPPRESS, required=name == "runtime", help=HELP.get(name),
        )  # fmt: skip


def given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The fields or filters that were given, by their names."""
    return {name: value for name, value in vars(options).items() if name in names}


def option(name: str) -> str:
    """The option for a field or a filter."""
    return "--" + name.replace("_", "-")
