"""The command line, as tests run it: in this process, or in a child with pipes or on a terminal."""

from __future__ import annotations

import contextlib
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
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

from vulcan_store.cli.main import main

SCRIPT = str(Path(sys.executable).with_name("vulcan-store"))
PATIENCE = 60
"""Seconds after which a command in a child is taken to hang, and ended by SIGALRM."""
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

    What is about the process itself (pipes, signals, terminals) takes :class:`Started` or :func:`on_terminal`.
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


class Started:
    """A command that goes on in a fork of this process, with pipes of text; used like a ``subprocess.Popen``.

    It ends as an interpreter does. What is about the script and its interpreter themselves takes :data:`SCRIPT`.
    """

    def __init__(self, *arguments, stdout=None):
        (stdin, self.stdin), (self.stdout, out), (self.stderr, error) = os.pipe(), os.pipe(), os.pipe()
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            for ours in (self.stdin, self.stdout, self.stderr):
                os.close(ours)
            _run_and_exit(arguments, environment(), stdin, out if stdout is None else stdout, error)
        for theirs in (stdin, out, error):
            os.close(theirs)
        self.stdin, self.stdout, self.stderr = open(self.stdin, "w"), open(self.stdout), open(self.stderr)

    def send_signal(self, number):
        os.kill(self.pid, number)

    def communicate(self, text=""):
        """Write the rest of its stdin, if it still reads; the rest of its output and of its errors."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(text)
        self._end_stdin()
        return self.stdout.read(), self.stderr.read()

    def _end_stdin(self):
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.send_signal(signal.SIGKILL)
        self.stdout.close()
        self.stderr.close()
        self._end_stdin()
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def on_terminal(*arguments, columns=80, lines=24, stdout=None, stdin=subprocess.DEVNULL, until=None, **changes):
    """Run a command to its end on a terminal, in a fork of this process, and return what appeared there.

    With ``stdout`` only its stderr is the terminal. What goes on for ever is interrupted when ``until`` has appeared;
    with ``stdin=None`` its stdin is the terminal too, at which Ctrl-D is pressed then.
    """
    child, terminal = pty.fork()
    if not child:
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        streams = (0 if stdin is None else stdin, 1 if stdout is None else stdout, 2)
        _run_and_exit(arguments, environment(**changes), *streams)
    seen = b""
    while read := _read(terminal):
        seen += read
        if until is not None and until in seen:
            if stdin is None:
                os.write(terminal, b"\x04")
            else:
                os.kill(child, signal.SIGINT)
            until = None
    os.close(terminal)
    os.waitpid(child, 0)
    return seen.decode().replace("\r\n", "\n")


def _run_and_exit(arguments, variables, *streams):
    """Be the console script in a child: run a command with these streams, flush its output, and end the process."""
    status = 120  # an interpreter's, if it cannot flush in the end
    try:
        signal.alarm(PATIENCE)
        os.environ.clear()
        os.environ.update(variables)
        for number, stream in enumerate(streams):
            stream = os.open(os.devnull, os.O_RDWR) if stream == subprocess.DEVNULL else stream
            os.dup2(stream if isinstance(stream, int) else stream.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)
        try:
            ended = main(list(map(str, arguments)))
        except SystemExit as wrong_usage_or_help:
            ended = wrong_usage_or_help.code or 0
        sys.stdout.flush()
        status = ended
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(status)


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
