"""The public names: sorted, explained, typed, and imported without anything that is not needed."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

from cases import each

import vulcan_store

TYPED_EXAMPLE = Path(__file__).with_name("typed_example.py")
CLASSES = [name for name in vulcan_store.__all__ if inspect.isclass(getattr(vulcan_store, name))]


def test_the_public_names_are_sorted_and_once_each():
    assert vulcan_store.__all__ == sorted(set(vulcan_store.__all__))


def test_the_public_names_are_those_of_the_contract():
    functions = {name for name in vulcan_store.__all__ if inspect.isroutine(getattr(vulcan_store, name))}

    assert functions == {
        "append_log_lines", "backup_store", "claim_workload", "close_store", "create_workload", "create_workloads",
        "delete_workload", "get_workload", "iter_workloads", "list_log_lines", "list_workloads", "open_store",
        "purge_workloads", "release_workloads", "restore_store", "update_workload", "update_workload_status",
        "wait_workload", "workload_stats",
    }
    assert set(vulcan_store.__all__) - functions == {
        "ClaimLostError", "FINAL", "InvalidTransitionError", "InvalidWorkloadError", "Isolation", "LogLine", "Page",
        "Runtime", "SchemaMismatchError", "Status", "Store", "StoreError", "StoreUnavailableError", "WaitTimeoutError",
        "Workload", "WorkloadExistsError", "WorkloadNotFoundError", "WorkloadStats", "__version__",
    }


@each("name", [name for name in vulcan_store.__all__ if callable(getattr(vulcan_store, name))])
def test_a_public_name_has_a_docstring_of_its_own(name):
    thing = getattr(vulcan_store, name)

    assert (thing.__dict__ if inspect.isclass(thing) else {"__doc__": thing.__doc__})["__doc__"].strip()
    assert not thing.__doc__.startswith(f"{name}(")


IMPORTING = """
import builtins, sys, peewee
tried, import_module, left_out = [], builtins.__import__, ("pytest", "psycopg", "psycopg2")
sys.addaudithook(lambda event, _: tried.append(event) if event.startswith("sqlite3.connect") else None)
def importing(name, *arguments, **options):
    if name.partition(".")[0] in left_out:
        tried.append(name)
        raise ImportError(name)
    return import_module(name, *arguments, **options)
builtins.__import__ = importing
import vulcan_store
print(tried)
"""


def test_importing_opens_nothing_and_asks_for_nothing_that_is_for_tests_or_other_engines(tmp_path):
    command = [sys.executable, "-B", "-W", "error", "-c", IMPORTING]

    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)

    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == ("[]\n", "", [])


def test_the_package_says_that_it_is_typed():
    assert Path(vulcan_store.__file__).with_name("py.typed").is_file()


def test_the_typed_example_uses_every_public_name():
    words = set(re.findall(r"\w+", TYPED_EXAMPLE.read_text().split(")\n", 1)[1]))

    assert set(vulcan_store.__all__) - words == set()


def test_the_typed_example_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(TYPED_EXAMPLE)], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stderr == ""
    assert "completed" in done.stdout
