"""What is particular to a server: reaching it, losing it, and sharing it."""

import io
import os
import secrets
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import pytest
from cases import each
from guarantees.processes import PATIENCE, forked, in_processes, run
from postgres_server import execute
import server_file
from guarantees.processes import in_threads

from vulcan_store import (
    FINAL,
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
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload
from vulcan_store.operations.transfer import export_workloads, import_workloads

MOMENT = datetime(2026, 2, 18, 11, 12, 42, 123456, tzinfo=UTC)


def test_pragmas_are_refused(postgres_target):
    with pytest.raises(StoreUnavailableError, match="pragmas are SQLite's"):
        open_store(postgres_target, pragmas={"synchronous": "normal"})


def test_page_and_total_are_of_one_moment(postgres_target, remote):
    make_workload()

    def let_another_write(event):
        execute(
            postgres_target,
            "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) SELECT "
            "gen_random_uuid()::text, status, isolation, runtime, node_id, created_at FROM workloads LIMIT 1",
        )

    remote.database.query_hooks.append(let_another_write)
    page = list_workloads(1)
    remote.database.query_hooks.clear()

    assert len(page.items) == page.total < list_workloads().total


def test_a_claim_passes_over_what_another_is_just_claiming(remote):
    first, second = make_workload(), make_workload()

    with remote.database.atomic():
        assert claim_workload("n") == first
        assert in_threads(1, lambda barrier, place: claim_workload("m")) == [second]


def test_text_has_the_order_that_it_has_in_a_file(remote):
    keys = ["ä", "a", "Z", "B", "_"]
    for key in keys:
        make_workload(id=key, created_at=MOMENT)

    assert [workload.id for workload in list_workloads().items] == sorted(keys, reverse=True)


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


WRITES = {
    "create_workload": create_workload, "create": Workload.create,
    "insert": lambda **row: Workload.insert(row).execute(),
    "bulk_create": lambda **row: Workload.bulk_create([Workload(**row)]),
    "update": lambda **row: Workload.update(row).execute(),
}


@each("write, field", [
    *[(write, "node_id") for write in WRITES], *[("create_workload", name) for name in ("id", "input_hash", "error")],
])
def test_a_nul_is_refused_by_the_name_of_its_field(remote, write, field):
    with pytest.raises(InvalidWorkloadError) as refusal:
        WRITES[write](**{"runtime": "go", field: "a\0b"})

    assert refusal.value.field == field
    assert list_workloads().total == 0


@each("value", ["a\0b", ["a", "a\0b"]])
def test_a_nul_in_a_filter_is_refused_by_the_name_of_its_field(remote, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        list_workloads(node_id=value)

    assert refusal.value.field == "node_id"


def test_an_error_inside_a_transaction_does_not_poison_it(remote):
    with remote.database.atomic():
        made = make_workload()
        with pytest.raises(WorkloadExistsError):
            make_workload(id=made.id)
        other = make_workload()

    assert {workload.id for workload in list_workloads().items} == {made.id, other.id}


def test_a_server_without_the_tables_is_refused_read_only_and_gets_none(postgres_target):
    with pytest.raises(StoreUnavailableError, match="has no table 'workloads'"):
        open_store(postgres_target, read_only=True)

    assert execute(postgres_target, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == [(0,)]
    open_store(postgres_target).close()
    assert execute(postgres_target, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == [(2,)]


def test_a_closed_store_is_not_reopened_by_its_database(postgres_target):
    store = open_store(postgres_target)
    store.close()

    with pytest.raises(StoreUnavailableError, match="closed"):
        store.database.execute_sql("SELECT 1")


def end_at_once(barrier, place, target, workload_id):
    """Open a store and end a workload of it together with the others; what this one was told that it has become."""
    barrier.wait(PATIENCE)
    with open_store(target):
        create_workload(runtime="go", id=str(place))
        barrier.wait(PATIENCE)
        try:
            return update_workload_status(workload_id, FINAL[place % 3]).status
        except InvalidTransitionError as error:
            return error.current


def test_processes_open_a_new_store_at_the_same_instant_and_agree_how_a_workload_ended(postgres_target):
    answers = in_processes(6, end_at_once, postgres_target, "0")

    with open_store(postgres_target):
        assert list_workloads().total == 6
        assert set(answers) == {get_workload("0").status}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own_and_the_parents_stays_sound(remote):
    made = make_workload()

    assert forked(lambda: create_workload(runtime="go", id="child").id)() == "child"

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

    done = run(source)

    assert "pip install '.[postgres]'" in done.stdout and "pip install 'psycopg[binary]'" in done.stdout
    assert "hidden" not in done.stdout
