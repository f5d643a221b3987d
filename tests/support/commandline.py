"""The command line, as tests run it: in this process, or in a child with pipes or on a terminal.

A command is a text as at the prompt, with further arguments behind it as they are.
"""

from __future__ import annotations

import fcntl
import functools
import io
import os
import pty
import shlex
import signal
import sqlite3
import struct
import sys
import termios
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from vulcan_store.cli import main as command_line

SCRIPT = str(Path(sys.executable).with_name("vulcan-store"))
PATIENCE = 60
"""Seconds after which a command in a child is taken to hang, and ended by SIGALRM."""
SHAPES_THE_OUTPUT = ("COLUMNS", "PYTHONIOENCODING", "PYTHONUNBUFFERED")


def environment(**changes):
    return {name: value for name, value in os.environ.items() if name not in SHAPES_THE_OUTPUT} | changes


class Ended(NamedTuple):
    """What came of a command: its exit status and what it printed, as text."""

    returncode: int
    stdout: str
    stderr: str


def vulcan(command, *arguments, stdin=b""):
    """Run a command to its end within this process, which is quicker than a process of its own.

    What is about the process itself (pipes, signals, terminals) takes :class:`Started` or :func:`on_terminal`.
    """
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    streams = {"stdin": io.BytesIO(stdin), "stdout": io.BytesIO(), "stderr": io.BytesIO()}
    handler = signal.getsignal(signal.SIGINT)  # which ``log`` changes
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, io.TextIOWrapper(stream, "utf-8", newline="\n", write_through=True))
        status = _invoke(command, arguments)
        sys.stdout.flush()
        signal.signal(signal.SIGINT, handler)
        return Ended(status, streams["stdout"].getvalue().decode(), streams["stderr"].getvalue().decode())


# Most commands take less time than the building of a parser.
_parser = functools.cache(command_line.build_parser)


def _invoke(command, arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_line, "build_parser", _parser)
        try:
            return command_line.main([*shlex.split(command), *map(str, arguments)])
        except SystemExit as wrong_usage_or_help:
            return wrong_usage_or_help.code or 0


class Started:
    """A command that goes on in a fork of this process, with pipes of text; used like a ``subprocess.Popen``.

    It ends as an interpreter does. What is about the script and its interpreter themselves takes :data:`SCRIPT`.
    """

    def __init__(self, command, *arguments, stdout=None, stderr=None):
        (stdin, self.stdin), (self.stdout, out), (self.stderr, error) = os.pipe(), os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            for ours in (self.stdin, self.stdout, self.stderr):
                os.close(ours)
            _be_the_script(command, arguments, (stdin, stdout or out, stderr or error))
        for theirs in (stdin, out, error):
            os.close(theirs)
        self.stdin, self.stdout, self.stderr = open(self.stdin, "w", 1), open(self.stdout), open(self.stderr)

    def send_signal(self, number):
        os.kill(self.pid, number)

    def communicate(self, text=""):
        """Write the rest of its stdin, if it still reads; the rest of its output and of its errors."""
        with suppress(BrokenPipeError):
            self.stdin.write(text)
        self._end_stdin()
        return self.stdout.read(), self.stderr.read()

    def _end_stdin(self):
        with suppress(BrokenPipeError):
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


def _be_the_script(command, arguments, streams):
    status = 120  # an interpreter's, if it cannot flush in the end
    try:
        signal.alarm(PATIENCE)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)
        ended = _invoke(command, arguments)
        sys.stdout.flush()
        status = ended
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(status)


def on_terminal(command, *arguments, columns=80):
    """Run a command to its end on a terminal, in a fork of this process, and return what appeared there."""
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with Started(command, *arguments, stdout=terminal, stderr=terminal):
        os.close(terminal)
        seen = b""
        with suppress(OSError):  # on Linux the end of a terminal is an error
            while read := os.read(ours, 65536):
                seen += read
        os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def rows(path, query):
    """What stands in the file itself."""
    with sqlite3.connect(path) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found
