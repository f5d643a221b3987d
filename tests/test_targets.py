"""What is opened: paths, URLs, the variable, and the default."""

from __future__ import annotations

import pytest
from guarantees.processes import run

from vulcan_store import get_workload, open_store
from vulcan_store.testing import make_workload


def test_a_path_object_is_a_target(tmp_path):
    with open_store(tmp_path / "vulcan.db") as store:
        make_workload(id="a")

    assert (tmp_path / "vulcan.db").is_file()
    assert str(tmp_path / "vulcan.db") in repr(store)


def test_the_variable_names_the_target(tmp_path, monkeypatch):
    monkeypatch.setenv("VULCAN_DB_PATH", str(tmp_path / "named.db"))

    open_store().close()

    assert [entry.name for entry in tmp_path.iterdir()] == ["named.db"]


def test_a_target_wins_over_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("VULCAN_DB_PATH", str(tmp_path / "named.db"))

    open_store(tmp_path / "given.db").close()

    assert [entry.name for entry in tmp_path.iterdir()] == ["given.db"]


@pytest.mark.parametrize("variable", [None, ""])
def test_without_target_and_variable_it_is_vulcan_db_in_the_current_folder(tmp_path, monkeypatch, variable):
    monkeypatch.delenv("VULCAN_DB_PATH", raising=False)
    if variable is not None:
        monkeypatch.setenv("VULCAN_DB_PATH", variable)
    monkeypatch.chdir(tmp_path)

    open_store().close()

    assert [entry.name for entry in tmp_path.iterdir()] == ["vulcan.db"]


def test_it_stays_the_same_file_when_the_process_changes_its_folder(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    with open_store("vulcan.db") as store:
        monkeypatch.chdir(elsewhere)
        store.database.pool.retire()  # so that the next call opens a connection

        made = make_workload()

        assert get_workload(made.id).id == made.id
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["a b.db", "a%20b.db", "what?mode=memory.db", "a#b.db", "späte.db", "fi:le.db"])
def test_any_file_name_is_taken_to_the_letter(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)

    open_store(name).close()

    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_sqlite_url_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    open_store("sqlite:///relative.db").close()
    open_store(f"sqlite:///{tmp_path}/absolute.db").close()

    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["absolute.db", "relative.db"]


@pytest.mark.parametrize("target", ["sqlite://", "sqlite:///:memory:"])
def test_a_sqlite_url_without_a_path_is_memory(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)

    with open_store(target):
        made = make_workload()
        assert get_workload(made.id) == made

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", [5, b"vulcan.db", object()], ids=["int", "bytes", "object"])
def test_a_target_that_is_no_path_is_a_type_error(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(TypeError):
        open_store(target)

    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_sqlite_that_peewee_uses_in_place_of_pythons_is_used_for_everything(tmp_path):
    done = run(
        """
import sqlite3, sys, types
pysqlite3 = types.ModuleType("pysqlite3")
pysqlite3.dbapi2 = types.ModuleType("pysqlite3.dbapi2")
for name in dir(sqlite3):
    for module in (pysqlite3, pysqlite3.dbapi2):
        if name != "__name__":
            setattr(module, name, getattr(sqlite3, name))
sys.modules.update({"pysqlite3": pysqlite3, "pysqlite3.dbapi2": pysqlite3.dbapi2, "sqlite3": pysqlite3})
opened = []
class Cursor(sqlite3.Cursor):
    failed = False
    def __next__(self):
        if self.failed:
            raise StopIteration
        self.failed = True  # pysqlite3 goes on after no error
        row = super().__next__()
        self.failed = False
        return row
class Connection(sqlite3.Connection):
    def __init__(self, *arguments, **options):
        opened.append(str(arguments[0]).rpartition("/")[2].partition("?")[0])
        super().__init__(*arguments, **options)
    def execute(self, *arguments):
        try:
            return self.cursor(Cursor).execute(*arguments)
        except sqlite3.IntegrityError as error:
            error.sqlite_errorname = "SQLITE_CONSTRAINT"  # pysqlite3 has no finer ones
            raise
pysqlite3.dbapi2.Connection = Connection
pysqlite3.dbapi2.connect = lambda *arguments, **options: sqlite3.connect(*arguments, **options, factory=Connection)
sqlite3.Connection = None

import peewee
from vulcan_store import (
    WorkloadExistsError, WorkloadNotFoundError, append_log_lines, backup_store, create_workload, list_workloads,
    open_store, restore_store,
)
assert peewee.sqlite3 is pysqlite3.dbapi2
with open_store("one.db") as store:
    create_workload(runtime="go", id="a")
    try:
        create_workload(runtime="go", id="a")
    except WorkloadExistsError:
        print("exists")
    try:
        append_log_lines("b", ["line"])
    except WorkloadNotFoundError:
        print("not found")
    store.database.execute_sql("UPDATE workloads SET node_id = CAST(x'ff' AS TEXT)")
    assert list_workloads().items[0].node_id == chr(0xfffd)
    backup_store("two.db")
    restore_store("two.db")
    assert list_workloads().total == 1
print(sorted({name for name in opened if name.endswith(".db")}))
""",
        cwd=tmp_path,
    )

    assert done.stdout == "exists\nnot found\n['one.db', 'two.db']\n"
