"""What type checkers and editors know: they find mistakes in names and types, and nothing wrong in right code."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLE, MISTAKES = HERE / "typed_example.py", HERE / "typed_mistakes.py"

CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--no-pretty"],
    "pyright": ["-m", "pyright", "--pythonpath", sys.executable],
}


@pytest.fixture(params=CHECKERS)
def checker(request):
    """The command of a type checker."""
    if importlib.util.find_spec(request.param) is None:
        if os.environ.get("VULCAN_TEST_TYPES") == "required":
            raise RuntimeError(f"{request.param} is not installed")
        pytest.skip(f"{request.param} is not installed; pip install '.[dev]' brings it")
    return [sys.executable, *CHECKERS[request.param]]


def lines_with_errors(checker, path):
    checked = subprocess.run([*checker, str(path)], cwd=HERE.parent, capture_output=True, text=True)
    found = re.findall(rf"{path.name}:(\d+)(?::\d+)?(?:: error| - error)", checked.stdout)
    assert (checked.returncode == 0) == (not found), checked.stdout + checked.stderr
    return {int(number) for number in found}


def test_every_marked_mistake_is_found_and_nothing_else(checker):
    lines = MISTAKES.read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}

    found = lines_with_errors(checker, MISTAKES)

    assert marked
    assert {lines[number - 1].strip() for number in found ^ marked} == set()


def test_every_public_name_with_variables_of_type_str_is_clean(checker):
    assert lines_with_errors(checker, EXAMPLE) == set()
