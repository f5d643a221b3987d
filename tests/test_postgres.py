"""What is particular to a server: reaching it, losing it, and sharing it."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import pytest
from guarantees.processes import PATIENCE
from postgres_server import execute
import server_file

from vulcan_store import (
    InvalidTransitionError,
    InvalidWorkloadError,
    LogLine,
    StoreUnavailableError,
    Workload,
    WorkloadExistsError,
    claim_workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    purge_workloads,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload
from vulcan_store.operations.transfer import export_workloads, import_workloads

ZONE = datetime(2026, 2, 18, 11, 12, 42, 123456, tzinfo=UTC)


@pytest.fixture
def remote(postgres_target):
    with open_store(postgres_target) as store:
        yield store


def in_processes(count, source, *arguments):
    """What each of so many processes prints that run the text of a program at once."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", source, *arguments, str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(count)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in running]


def test_pragmas_are_refused(postgres_target):
    with pytest.raises(StoreUnavailableError, match="pragmas are SQLite's"):
        open_store(postgres_target, pragmas={"synchronous": "normal"})


def test_page_and_total_are_of_one_moment(postgres_target, remote, monkeypatch):
    psycopg = pytest.importorskip("psycopg")
    make_workload()
    read = remote.database.read

    def read_and_let_another_write(*statement):
        rows = read(*statement)
        with psycopg.connect(postgres_target) as other:
            other.execute(
                "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) SELECT "
                "gen_random_uuid()::text, status, isolation, runtime, node_id, created_at FROM workloads LIMIT 1"
            )
        return rows

    monkeypatch.setattr(remote.database, "read", read_and_let_another_write)
    page = list_workloads()
    monkeypatch.undo()

    assert len(page.items) == page.total < list_workloads().total


def test_a_claim_passes_over_what_another_is_just_claiming(remote):
    first, second = make_workload(), make_workload()
    claimed = []

    with remote.database.atomic():
        assert claim_workload("n") == first
        other = threading.Thread(target=lambda: claimed.append(claim_workload("m")))
        other.start()
        other.join(PATIENCE)

        assert claimed == [second]


def test_text_has_the_order_that_it_has_in_a_file(remote):
    collations = remote.database.read(
        "SELECT DISTINCT collation_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND data_type = 'text'"
    )

    assert collations == [("C",)]


def test_a_node_with_a_name_too_long_for_an_index_is_a_node(remote):
    long = secrets.token_hex(5_000)  # what can be compressed would fit
    make_workload(id="a")
    make_workload(id="b", node_id=long)

    claimed = claim_workload(long)
    update_workload("a", claim=claimed, error="e")

    assert list_workloads(node_id=long).items == [get_workload("b"), get_workload("a")]


@pytest.fixture
def bytewise(postgres):
    """The URL of a database that counts bytes as characters."""
    if os.environ.get("VULCAN_TEST_POSTGRES_URL"):
        pytest.skip("makes a database, so for a server of the tests' own")
    execute(postgres, "CREATE DATABASE bytewise ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    parts = urlsplit(postgres)
    yield urlunsplit(parts._replace(path="/bytewise"))
    execute(postgres, "DROP DATABASE bytewise WITH (FORCE)")


@pytest.mark.parametrize("input_hash", ["é" * 5, "é" * 12, f"{'a' * 30}é", "0123456789ab"])
def test_an_input_is_found_where_the_server_counts_bytes(bytewise, input_hash):
    with open_store(bytewise):
        make_workload(id="w", input_hash=input_hash)

        assert [workload.id for workload in list_workloads(input_hash=input_hash).items] == ["w"]


def test_times_are_in_utc_though_the_server_is_elsewhere(remote):
    made = make_workload(created_at=ZONE)

    ((zone, stored),) = remote.database.read(
        "SELECT current_setting('TimeZone'), to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') "
        "FROM workloads"
    )

    assert (zone, stored) == ("Asia/Kolkata", "2026-02-18 11:12:42.123456")
    assert get_workload(made.id).created_at.tzinfo is UTC


@pytest.mark.parametrize("field", ["id", "node_id", "input_hash", "error"])
@pytest.mark.parametrize("write", [
    create_workload, Workload.create, lambda **row: Workload.insert(row).execute(),
    lambda **row: Workload.bulk_create([Workload(**row)]), lambda **row: Workload.update(row).execute(),
], ids=["create_workload", "create", "insert", "bulk_create", "update"])
def test_a_nul_is_refused_by_the_name_of_its_field(remote, write, field):
    with pytest.raises(InvalidWorkloadError) as refusal:
        write(**{"runtime": "go", field: "a\0b"})

    assert refusal.value.field == field
    assert list_workloads().total == 0


@pytest.mark.parametrize("field", ["node_id", "input_hash"])
@pytest.mark.parametrize("shape", [str, lambda value: [value], lambda value: ["a", value]], ids=["one", "list", "two"])
def test_a_nul_in_a_filter_is_refused_by_the_name_of_its_field(remote, field, shape):
    with pytest.raises(InvalidWorkloadError) as refusal:
        list_workloads(**{field: shape("a\0b")})

    assert refusal.value.field == field


def test_an_error_inside_a_transaction_does_not_poison_it(remote):
    with remote.database.atomic():
        made = make_workload()
        with pytest.raises(WorkloadExistsError):
            make_workload(id=made.id)
        other = make_workload()

    assert {workload.id for workload in list_workloads().items} == {made.id, other.id}


def test_a_server_that_is_opened_read_only_is_read_and_not_written(postgres_target):
    with open_store(postgres_target):
        made = make_workload()

    with open_store(postgres_target, read_only=True):
        for write in (make_workload, lambda: update_workload_status(made.id, "killed"), lambda: purge_workloads(ZONE)):
            with pytest.raises(StoreUnavailableError, match="read_only=True"):
                write()

        assert get_workload(made.id) == made
        assert list_workloads().items[0].status == "pending"


def test_a_server_without_the_tables_is_refused_read_only_and_gets_none(postgres_target):
    with pytest.raises(StoreUnavailableError, match="has no table 'workloads'"):
        open_store(postgres_target, read_only=True)

    with open_store(postgres_target) as store:
        assert list_workloads().total == 0 and store.database.table_and_index_names() >= {"workloads", "log_lines"}


def test_a_closed_store_is_not_reopened_by_its_database(postgres_target):
    store = open_store(postgres_target)
    store.close()

    with pytest.raises(StoreUnavailableError, match="closed"):
        store.database.execute_sql("SELECT 1")


def test_processes_that_open_a_new_store_at_the_same_instant_all_succeed(postgres_target):
    source = (
        "import sys; from vulcan_store import *; print('ready', flush=True); sys.stdin.readline()\n"
        "with open_store(sys.argv[1]): create_workload(runtime='go'); print('done')"
    )

    assert in_processes(8, source, postgres_target) == ["done"] * 8

    with open_store(postgres_target):
        assert list_workloads().total == 8


def test_of_processes_that_end_a_workload_at_once_exactly_one_wins(postgres_target):
    source = (
        "import sys; from vulcan_store import *; store = open_store(sys.argv[1])\n"
        "mine = ['completed', 'failed', 'killed'][int(sys.argv[3]) % 3]; print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "try: update_workload_status(sys.argv[2], mine); print('won', mine)\n"
        "except InvalidTransitionError as error: print('lost', error.current)"
    )
    with open_store(postgres_target):
        made = make_workload(status="running")

        answers = in_processes(6, source, postgres_target, made.id)

        final = get_workload(made.id).status
    assert {answer.split()[1] for answer in answers} == {final}
    with open_store(postgres_target), pytest.raises(InvalidTransitionError):
        update_workload_status(made.id, "running")


def test_threads_that_end_leave_no_connection_behind(remote):
    for _ in range(30):
        thread = threading.Thread(target=lambda: create_workload(runtime="go"))
        thread.start()
        thread.join()

    ((count,),) = remote.database.read(
        "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^INSERT INTO' AND pid <> pg_backend_pid()"
    )
    assert count <= 1
    assert list_workloads().total == 30


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own_and_the_parents_stays_sound(remote):
    made = make_workload()
    child = os.fork()
    if not child:
        status = 1
        try:
            create_workload(runtime="go", id="child")
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert claim_workload("node-1") == made
    assert get_workload("child").status == "pending"


def test_export_and_import_make_an_equal_store_of_a_file_of_the_server(postgres_target, path):
    server_file.build(path)
    text = io.StringIO()
    with open_store(path) as store:
        Workload.delete().where(Workload.status.coerce(False) == "paused").execute()
        export_workloads(store, text.write)
        before = contents()

    with open_store(postgres_target) as store:
        import_workloads(store, (line.encode() for line in text.getvalue().splitlines(keepends=True)))

        assert contents() == before
    assert len(before[0]) == len(server_file.ROWS) - 1 and len(before[1]) == 1


def contents():
    workloads = [{**workload.__data__} for workload in Workload.select().order_by(Workload.id)]
    lines = LogLine.select(LogLine.workload, LogLine.seq, LogLine.line, LogLine.created_at)
    return workloads, list(lines.order_by(LogLine.workload, LogLine.seq).tuples())


def test_without_the_driver_the_error_names_what_installs_it():
    source = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from vulcan_store import StoreUnavailableError, open_store\n"
        "try: open_store('postgresql://user:hidden@host/name')\n"
        "except StoreUnavailableError as error: print(error.target, error)"
    )

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)

    assert "pip install '.[postgres]'" in done.stdout and "pip install 'psycopg[binary]'" in done.stdout
    assert done.stdout.startswith("postgresql://user@host/name ")
    assert "hidden" not in done.stdout
