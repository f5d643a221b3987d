"""The console script, as tests run it: in a process of its own, with or without a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from pathlib import Path

SCRIPT = str(Path(sys.executable).with_name("vulcan-store"))
SHAPES_THE_OUTPUT = ("NO_COLOR", "TERM", "COLUMNS", "VULCAN_DB_PATH", "PYTHONIOENCODING", "PYTHONUNBUFFERED")


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in SHAPES_THE_OUTPUT}
    return {**kept, "TERM": "xterm", **changes}


def vulcan(*arguments, stdin=b"", **options):
    """Run the script to its end; stdout and stderr are text."""
    options = {"env": environment(), "timeout": 60, **options}
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    ended = subprocess.run([SCRIPT, *map(str, arguments)], input=stdin, capture_output=True, **options)
    ended.stdout, ended.stderr = ended.stdout.decode(), ended.stderr.decode()
    return ended


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
