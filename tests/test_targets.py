"""What is opened: paths, URLs, the variable, the default; and what is refused, with what to write instead."""

import os
import resource
import sqlite3

import pytest
from cases import each
from files import refused
from guarantees.processes import in_threads, run

from vulcan_store import StoreUnavailableError, create_workload, get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VULCAN_DB_PATH", raising=False)
    return tmp_path


def test_a_path_object_is_a_target(folder):
    with open_store(folder / "vulcan.db") as store:
        make_workload(id="a")

    assert (folder / "vulcan.db").is_file()
    assert str(folder / "vulcan.db") in repr(store)


@pytest.mark.parametrize("variable, target, made", [
    (None, None, "vulcan.db"),
    ("", None, "vulcan.db"),
    ("named.db", None, "named.db"),
    ("named.db", "given.db", "given.db"),
    # The options of the server's driver are the server's business.
    ("vulcan.db?_txlock=immediate&_pragma=busy_timeout(5000)", None, "vulcan.db"),
    (":memory:?_txlock=immediate", None, None),
    (None, "vulcan.db?_txlock=immediate&mode=ro", "vulcan.db?_txlock=immediate&mode=ro"),
    (None, "what?.db", "what?.db"),
    (None, "./file:v.db?mode=ro", "file:v.db?mode=ro"),
    (None, "sqlite:///relative.db", "relative.db"),
    (None, ":memory:", None),
    (None, "sqlite://", None),
    (None, "sqlite:///:memory:", None),
])
def test_target_variable_and_default_name_one_file_or_none(folder, monkeypatch, variable, target, made):
    if variable is not None:
        monkeypatch.setenv("VULCAN_DB_PATH", variable)

    with open_store(target):
        assert get_workload(make_workload().id).runtime == "python"

    assert os.listdir(folder) == [made] * bool(made)


def test_it_stays_the_same_file_when_the_process_changes_its_folder(folder, monkeypatch):
    (folder / "elsewhere").mkdir()
    with open_store("vulcan.db") as store:
        monkeypatch.chdir(folder / "elsewhere")
        with store.database.atomic():
            made = make_workload()
            assert in_threads(1, lambda *_: list_workloads().total) == [0]  # on a further connection

        assert get_workload(made.id) == made
    assert os.listdir() == []


@each("target", [5, b"vulcan.db", object()])
def test_a_target_that_is_no_path_is_a_type_error(folder, target):
    with pytest.raises(TypeError):
        open_store(target)

    assert os.listdir(folder) == []


@each("target, instead", [
    ("sqlite:///v.db?timeout=30", 'pragmas={"busy_timeout": milliseconds}'),
    ("SQLite:///v.db?mode=ro", "open_store(read_only=True)"),
    ("sqlite:v.db", "write the path alone, sqlite:///path"),
    ("sqlite:/v.db", "write the path alone, sqlite:///path"),
    ("sqlite://host/a.db", "write the path alone, sqlite:///path"),
    ("FILE:v.db", "write the path alone"),
    ("file:v.db?mode=ro", "open_store(read_only=True)"),
    ("file::memory:?cache=shared", '":memory:"'),
    ("sqlite:///", "it is empty"),
    (":memory", 'write ":memory:"'),
    (":x.db", "./:x.db"),
    ("vulcan.db ", "ends in white space"),
    ("vulcan.db\n", "./vulcan.db"),
    ("", "it is empty"),
    ("a\0b", "holds a NUL"),
    ("v.db/", "a slash"),
    (".", "a folder"),
    ("..", "a folder"),
    ("~/v.db", "does not exist"),
    ("/dev/null", "no regular file"),
])
@each("read_only", [False, True])
def test_what_is_not_the_path_of_a_file_is_refused_with_what_to_write_instead(folder, target, instead, read_only):
    refused(target, instead, read_only=read_only)

    assert os.listdir(folder) == []


def test_a_path_that_python_cannot_read_is_refused(folder, monkeypatch):
    refused("a\ud800.db", "its path cannot be read")
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    refused("v.db", "its path cannot be read")


def test_a_pipe_is_refused(folder):
    os.mkfifo("pipe")

    refused("pipe", "no regular file")


def test_a_url_of_a_scheme_without_an_engine_is_shown_as_its_scheme_alone():
    with pytest.raises(StoreUnavailableError, match="there is no engine for nosuch://") as refusal:
        open_store("nosuch://user:s3cret@host/vulcan?token=s3cret")

    assert refusal.value.target == "nosuch://..." and "s3cret" not in f"{refusal.value} {refusal.value!r}"


@pytest.mark.parametrize("length, opens", [(247, True), (248, False), (300, False)])
def test_a_name_is_as_long_as_leaves_room_for_the_journals(folder, length, opens):
    if opens:
        with open_store("a" * length):
            make_workload()
    else:
        refused("a" * length, "path is too long: 504 bytes are the most, 247 of them for the name")

    assert os.listdir(folder) == ["a" * length] * opens


@pytest.mark.parametrize("length, opens", [(504, True), (505, False)])
def test_a_path_is_as_long_as_sqlite_takes(folder, length, opens):
    parent = str(folder)
    while len(parent) < length - 120:
        parent += "/" + "d" * 100
    os.makedirs(parent)
    path = f"{parent}/{'v' * (length - len(parent) - 1)}"

    if opens:
        with open_store(path):
            make_workload()
    else:
        refused(path, "path is too long: 504 bytes are the most")

    assert len(os.listdir(parent)) == opens


def test_running_out_of_descriptors_is_said_to_be_that(path):
    open_store(path).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        error = refused(path, "Too many open files")
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert isinstance(error.__cause__, sqlite3.OperationalError)
    with open_store(path):
        create_workload(runtime="go")


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
