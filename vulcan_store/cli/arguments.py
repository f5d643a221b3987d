"""What can be typed on the command line: commands, options, and how their text becomes values."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from vulcan_store.models import clock
from vulcan_store.models.fields import BytesField, EnumField, StrictIntegerField, TimeField
from vulcan_store.models.workload import COLUMNS, Workload
from vulcan_store.operations.updates import MUTABLE
from vulcan_store.queries.filters import CHOICES

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TIMES = (
    "Times are like 2026-02-18, 2026-02-18T11:12:42Z (in UTC, where no zone is given), or say how long ago: 30s, 15m, "
    "12h, 30d, 4w."
)
ABOUT = {
    "id": "an id of your own instead of a new ULID",
    "node_id": "the node that runs it",
    "input_hash": "hash of its input",
    "output": "a file with the result; - is stdin",
    "exit_code": "its exit code",
    "error": "what went wrong",
    "cpu_limit": "virtual CPUs",
    "mem_limit": "memory in MB",
    "timeout_s": "seconds that it may run",
    "duration_ms": "milliseconds that it ran",
    "created_at": "when it was submitted; now unless given",
    "started_at": "when it last became running",
    "finished_at": "when it reached a final status",
}


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; what it finds has the names of fields and filters."""
    root = argparse.ArgumentParser(
        prog="vulcan-store",
        description="The workload store of Vulcan nodes: look into it, work with it, look after it.",
        epilog="exit status:\n  0 done, 1 an error (one line on stderr), 2 wrong usage, 3 nothing to claim\n\n"
        "examples:\n  vulcan-store create --runtime python\n  vulcan-store --db /var/lib/vulcan/vulcan.db list\n\n"
        "vulcan-store COMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_target(root, None)
    commands = _Commands(root.add_subparsers(dest="command", metavar="COMMAND", required=True))

    create = commands.add(
        "create", "store a new workload and print its id", "id=$(vulcan-store create --runtime python --mem-limit 512)"
    )
    _add_fields(create, COLUMNS)
    _add_json(create)

    get = commands.add(
        "get", "show a workload, one field a line", "vulcan-store get 01K3ZQ8N0V6Y2R4T5W7X9ABCDE --output result.bin"
    )
    _add_id(get)
    form = get.add_mutually_exclusive_group()
    _add_json(form)
    form.add_argument("--output", metavar="FILE", help="write the result bytes there instead; - is stdout")

    found = commands.add(
        "list",
        "show workloads, newest first",
        "vulcan-store list --status failed,killed --since 12h --limit 50",
        f"Filters may be repeated; words may also stand together, with commas between. {TIMES}",
    )
    _add_filters(found, CHOICES)
    found.add_argument("--since", type=moment, metavar="TIME", dest="created_since", help="created then or later")
    found.add_argument("--before", type=moment, metavar="TIME", dest="created_before", help="created earlier")
    found.add_argument("--limit", type=_whole, default=20, metavar="N", help="how many at most (default: 20)")
    found.add_argument("--offset", type=_whole, default=0, metavar="N", help="how many to pass over first")
    _add_json(found)

    update = commands.add(
        "update",
        "change a workload and show it",
        "vulcan-store update 01K3ZQ8N0V6Y2R4T5W7X9ABCDE --status failed --exit-code 1",
        f"Everything named changes in one write. completed, failed and killed are final. {TIMES}",
    )
    _add_id(update)
    _add_fields(update, MUTABLE)
    _add_json(update)

    claim = commands.add(
        "claim",
        "take the oldest pending workload for a node and print its id",
        "while id=$(vulcan-store claim node-1 --runtime wasm); do work \"$id\"; done",
        "No two callers get the same one. The exit status is 3 if there is none.",
    )
    claim.add_argument("node_id", metavar="NODE", help="the node that is to run it")
    _add_filters(claim, ("isolation", "runtime"))
    _add_json(claim)

    logs = commands.add("logs", "print the log of a workload", "vulcan-store logs 01K3ZQ8N0V6Y2R4T5W7X9ABCDE --follow")
    _add_id(logs)
    logs.add_argument("--follow", action="store_true", help="go on printing what is new until the status is final")
    _add_json(logs)

    stats = commands.add("stats", "count workloads", "vulcan-store stats --json")
    _add_json(stats)

    purge = commands.add(
        "purge",
        "delete workloads that finished long ago, with their logs",
        "vulcan-store purge --finished-before 30d --dry-run",
        TIMES,
    )
    purge.add_argument("--finished-before", type=moment, required=True, metavar="TIME", help="which ones to delete")
    purge.add_argument("--dry-run", action="store_true", help="only say how many they are")

    backup = commands.add(
        "backup", "copy the store to a new file, while others go on writing", "vulcan-store backup /backup/vulcan.db"
    )
    backup.add_argument("file", metavar="FILE", help="a file that does not exist yet")

    commands.add(
        "export",
        "print every workload with its log as a line of JSON, oldest first",
        "vulcan-store export | gzip > vulcan.jsonl.gz",
    )
    commands.add(
        "import",
        "store every workload of an export, or none of them",
        "vulcan-store --db old.db export | vulcan-store --db new.db import",
        "It is read from stdin, in one transaction: others that write wait until it is over.",
    )
    return root


def moment(text: str) -> datetime:
    """A time, or how long ago one was, as an aware datetime."""
    ago = re.fullmatch(r"([0-9]+)([smhdw])", text)
    try:
        found = clock.now() - timedelta(**{UNITS[ago[2]]: int(ago[1])}) if ago else clock.from_text(text)
    except (OverflowError, ValueError):
        found = None
    if not isinstance(found, datetime):
        raise argparse.ArgumentTypeError(f"{text!r} is no time, like 2026-02-18T11:12:42Z, 2026-02-18 or 30d")
    return found


def _whole(text: str) -> int:
    if not re.fullmatch("[0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _one(text: str) -> list[str]:
    return [text]


def _words(field: EnumField[Any]) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        found = text.split(",")
        for word in found:
            if word not in field.stored:
                raise argparse.ArgumentTypeError(f"{word!r} is not {field.expected}")
        return found

    return words


class _Commands:
    def __init__(self, group: Any) -> None:
        self.group = group

    def add(self, name: str, about: str, example: str, more: str = "") -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = self.group.add_parser(
            name,
            help=about,
            description=textwrap.fill(f"{about[0].upper()}{about[1:]}. {more}", 78),
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(refuse=command.error)
        _add_target(command, argparse.SUPPRESS)  # or it would take back what stood before the command
        return command


def _add_target(command: argparse.ArgumentParser, default: str | None) -> None:
    command.add_argument(
        "--db", metavar="TARGET", default=default, help="a path or URL (default: $VULCAN_DB_PATH, else vulcan.db)"
    )


def _add_id(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="the workload")


def _add_json(command: argparse._ActionsContainer) -> None:
    command.add_argument("--json", action="store_true", help="print JSON in the server's form instead")


def _add_filters(command: argparse.ArgumentParser, names: Iterable[str]) -> None:
    for name in names:
        field = Workload._meta.fields[name]
        command.add_argument(
            _option(name),
            action="extend",
            type=_words(field) if isinstance(field, EnumField) else _one,
            metavar="WORD" if isinstance(field, EnumField) else "TEXT",
            help=field.expected if isinstance(field, EnumField) else ABOUT[name],
        )


def _add_fields(command: argparse.ArgumentParser, names: Iterable[str]) -> None:
    for name in names:
        field = Workload._meta.fields[name]
        options: dict[str, Any] = {"metavar": "TEXT"}
        if isinstance(field, EnumField):
            options = {"choices": list(field.members), "metavar": "WORD"}
        elif isinstance(field, StrictIntegerField):
            options = {"type": int, "metavar": "N"}
        elif isinstance(field, TimeField):
            options = {"type": moment, "metavar": "TIME"}
        elif isinstance(field, BytesField):
            options = {"metavar": "FILE"}
        about = ABOUT[name] if name in ABOUT else "one of " + ", ".join(options["choices"])
        command.add_argument(
            _option(name),
            default=argparse.SUPPRESS,
            required=name == "runtime",
            help=about,
            **options,
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
