"""The rooms of the package: imports between them point one way."""

import ast
import functools
import graphlib
from pathlib import Path

from cases import each

import vulcan_store

ROOT = Path(vulcan_store.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

CONTRACT = "engines.contract"
MAY_USE = {
    "errors": set(),
    "lifecycle": set(),
    "engines": {"errors"},
    "models": {"lifecycle", "errors"},
    "queries": {"models", "lifecycle", "errors", CONTRACT},
    "operations": {"queries", "models", "lifecycle", "errors", CONTRACT},
    "store": {"operations", "models", "lifecycle", "errors", CONTRACT},
    "current": {"store", "operations", "models", "errors", CONTRACT, "engines.registry"},
    "testing": {"current", "store", "models", "lifecycle", "engines.registry", "engines.sqlite.engine"},
    "cli": {
        "__init__", "current", "store", "operations", "queries", "models", "lifecycle", "errors",
        "engines.sqlite.driver", "engines.sqlite.paths",
    },
    "__init__": {"current", "store", "operations", "models", "lifecycle", "errors"},
    "__main__": {"cli"},
}
"""What each room may import of the others: a room, or one module of it; its own modules besides."""


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_of(path) for path in FILES}


@functools.cache
def imports(path, *, for_types=True):
    """The modules of the package that a file imports, wherever in it; without those that only a type checker needs."""
    return set(_imports(path, for_types))


def _imports(path, for_types):
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(inner for part in node.body for inner in ast.walk(part))
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (found for alias in node.names if (found := named(node.module or "", alias.name)))
        elif isinstance(node, ast.Import):
            yield from (found for alias in node.names if (found := named(alias.name, "")))


def named(module, name):
    if module.split(".")[0] != "vulcan_store":
        return None
    inner = f"{module}.{name}".removeprefix("vulcan_store").strip(".")
    return inner if inner in MODULES else module.removeprefix("vulcan_store").strip(".") or "__init__"


def room_of(module):
    return module.split(".")[0]


@each("path", FILES)
def test_a_file_imports_what_its_room_may_use_and_nothing_else(path):
    room = room_of(module_of(path))

    elsewhere = {module for module in imports(path) if room_of(module) != room}

    assert {module for module in elsewhere if not MAY_USE[room] & {module, room_of(module)}} == set()


def test_no_module_needs_one_that_needs_it():
    needs = {module_of(path): imports(path, for_types=False) - {module_of(path)} for path in FILES}

    assert len(list(graphlib.TopologicalSorter(needs).static_order())) == len(FILES)


def test_only_the_package_itself_its_fixtures_and_the_command_line_use_the_current_store():
    users = {room_of(module_of(path)) for path in FILES if "current" in map(room_of, imports(path))}

    assert users <= {"__init__", "testing", "cli"}
