"""Children that were forked behind Python's back, by a C extension or a server that embeds it."""

import pytest

from guarantees.processes import fork_behind_pythons_back, forked, in_threads, integrity, rows, run
from vulcan_store import StoreUnavailableError, Workload, create_workload, get_workload, open_store

USES = {
    "create": lambda path: create_workload(runtime="go"),
    "get": lambda path: get_workload("one"),
    "query": lambda path: list(Workload.select()),
    "open again": open_store,
    "open to read": lambda path: open_store(path, read_only=True),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_child_that_python_did_not_see_forked_is_refused_and_its_parent_stays_sound(path, use):
    with open_store(path):
        create_workload(runtime="go", id="one")
        child = forked(use, path, fork=fork_behind_pythons_back)
        with pytest.raises(StoreUnavailableError, match="close the store before the fork") as refusal:
            child()
        create_workload(runtime="go", id="two")

    assert refusal.value.target == path
    assert [key for key, _ in rows(path)] == ["one", "two"]
    assert integrity(path) == "ok"


def test_such_a_child_is_refused_in_the_middle_of_its_parents_transaction_too(path):
    def go_on():
        with pytest.raises(StoreUnavailableError, match="forked"):
            create_workload(runtime="go")
        transaction.__exit__(None, None, None)

    with open_store(path) as store:
        transaction = store.database.atomic()
        transaction.__enter__()
        create_workload(runtime="go", id="one")
        child = forked(go_on, fork=fork_behind_pythons_back)
        with pytest.raises(StoreUnavailableError, match="forked"):
            child()
        transaction.__exit__(None, None, None)
        create_workload(runtime="go", id="two")

    assert [key for key, _ in rows(path)] == ["one", "two"]


def test_such_a_child_opens_another_file_and_closes_what_it_inherited(path, tmp_path):
    def use_another():
        store.close()
        with open_store(tmp_path / "other.db"):
            create_workload(runtime="go", id="theirs")
        in_threads(1, lambda barrier, place: None)

    with open_store(path) as store:
        create_workload(runtime="go", id="one")
        forked(use_another, fork=fork_behind_pythons_back)()
        create_workload(runtime="go", id="two")

    assert [key for key, _ in rows(path)] == ["one", "two"]
    assert [key for key, _ in rows(tmp_path / "other.db")] == ["theirs"]


def test_what_the_parent_writes_stays_though_such_a_child_ends_as_a_program_does(path):
    done = run(
        """
import ctypes, os, sys
from vulcan_store import create_workload, open_store
open_store(sys.argv[1])
print(create_workload(runtime="go").id, flush=True)
child = ctypes.PyDLL(None).fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
for _ in range(20):
    print(create_workload(runtime="go").id, flush=True)
os._exit(0)
""",
        path,
    )

    made = done.stdout.split()
    assert len(made) == 21
    assert sorted(key for key, _ in rows(path)) == sorted(made)
    assert integrity(path) == "ok"
