"""The command line, as tests run it: in this process, or as the console script with pipes or on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import NamedTuple

import pytest

from vulcan_store.cli.main import main

SCRIPT = str(Path(sys.executable).with_name("vulcan-store"))
SHAPES_THE_OUTPUT = ("NO_COLOR", "TERM", "COLUMNS", "VULCAN_DB_PATH", "PYTHONIOENCODING", "PYTHONUNBUFFERED")


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in SHAPES_THE_OUTPUT}
    return {**kept, "TERM": "xterm", **changes}


class Ended(NamedTuple):
    """What came of a command: its exit status and what it printed, as text."""

    returncode: int
    stdout: str
    stderr: str


def vulcan(*arguments, stdin=b""):
    """Run a command to its end within this process, which is quicker than a process of its own.

    What is about the process itself (pipes, signals, terminals) takes :func:`started` or :func:`on_terminal`.
    """
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    streams = {"stdin": io.BytesIO(stdin), "stdout": io.BytesIO(), "stderr": io.BytesIO()}
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, io.TextIOWrapper(stream, "utf-8", newline="\n", write_through=True))
        try:
            status = main(list(map(str, arguments)))
        except SystemExit as wrong_usage:
            status = wrong_usage.code
        sys.stdout.flush()
        return Ended(status, streams["stdout"].getvalue().decode(), streams["stderr"].getvalue().decode())


def started(*arguments, **options):
    """Start the script, with pipes of text."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [SCRIPT, *map(str, arguments)], text=True, env=environment(), **{**pipes, **options}
    )


def on_terminal(*arguments, columns=80, lines=24, stdout=None, stdin=subprocess.DEVNULL, until=None, **changes):
    """Run the script to its end on a terminal and return what appeared there.

    With ``stdout`` only its stderr is the terminal. What goes on for ever is interrupted when ``until`` has appeared;
    with ``stdin=None`` its stdin is the terminal too, at which Ctrl-D is pressed then.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with subprocess.Popen(
        [SCRIPT, *map(str, arguments)],
        stdin=theirs if stdin is None else stdin,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env=environment(**changes),
    ) as running:
        os.close(theirs)
        seen = b""
        while read := _read(ours):
            seen += read
            if until is not None and until in seen:
                if stdin is None:
                    os.write(ours, b"\x04")
                else:
                    running.send_signal(signal.SIGINT)
                until = None
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # on Linux the end of a terminal is an error
        return b""


def rows(path, query):
    """What stands in the file itself."""
    with sqlite3.connect(path) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found
