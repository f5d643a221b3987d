"""The blocks of README.md, and how they are run as pasted into a fresh folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text()


class Block(NamedTuple):
    """A block of code, and the text block that follows it at once, which it prints."""

    language: str
    code: str
    output: str | None

    @property
    def name(self):
        """The name of its file, if its first line says it."""
        named = re.match(r"# (\w+\.py)\n", self.code)
        return named and named[1]


def needs(library):
    """Skip a test where a library of the extra `dev` is not installed."""
    return pytest.importorskip(library, reason="for a library of the extra `dev`")


def section(heading):
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def blocks(language, text=TEXT):
    found = re.finditer(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", text, re.MULTILINE | re.DOTALL)
    return [Block(*block.groups()) for block in found if block[1] == language]


def save(folder, name, changes=()):
    """Paste the program of this name into a file of a folder, with parts of it replaced."""
    (code,) = [block.code for block in blocks("python") if block.name == name]
    for old, new in dict(changes).items():
        assert old in code
        code = code.replace(old, new)
    (folder / name).write_text(code)


def environment():
    """What a user's shell has: the scripts of this interpreter first, and nothing that names a store."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VULCAN_", "PYTEST", "COV"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(folder, *command):
    """Run a command in a folder to its end; its exit status, stdout and stderr."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


def python(folder, *arguments):
    return run(folder, sys.executable, *arguments)


@contextmanager
def started(folder, *arguments):
    """A Python program that goes on until it ends or the test does, with pipes of text."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment(), **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
