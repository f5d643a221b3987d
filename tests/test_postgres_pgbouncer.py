"""Through PgBouncer, in session and in transaction mode, with no setting of its own."""

import collections
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from guarantees.processes import in_processes
from peewee import PeeweeException
from postgres_server import PgBouncer, PostgresServer, execute, started

from vulcan_store import (
    StoreUnavailableError,
    Workload,
    WorkloadExistsError,
    append_log_lines,
    claim_workload,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    release_workloads,
    update_workload,
    workload_stats,
)
from vulcan_store.testing import make_workload

THREADS, PROCESSES, EACH = 6, 2, 15


@pytest.fixture(scope="module")
def server():
    server = started(PostgresServer)
    yield server
    server.remove()


@pytest.fixture(scope="module", params=["session", "transaction"])
def bouncer(server, request):
    bouncer = started(PgBouncer, server, request.param)
    yield bouncer
    bouncer.remove()


@pytest.fixture
def target(server, bouncer):
    """A store of the test's own, through PgBouncer."""
    name = f"test_{secrets.token_hex(8)}"
    execute(server.url(), f"CREATE DATABASE {name}")
    return bouncer.url(name)


def everything(place, thread):
    """What a thread does all day; the ids that it claimed."""
    claimed = []
    for number in range(EACH):
        name = f"{place}-{thread}-{number}"
        made = create_workload(runtime="go", id=name, input_hash=name)
        with pytest.raises(WorkloadExistsError):
            create_workload(runtime="go", id=name)
        assert create_workloads({"runtime": "wasm", "node_id": name, "status": "failed"} for _ in range(3)) == 3
        assert append_log_lines(name, ["one", "two"]) == 2
        assert [line.line for line in list_log_lines(name)] == ["one", "two"]
        assert list_workloads(input_hash=name).items[0].id == get_workload(name).id == made.id
        assert len(list(iter_workloads(node_id=name))) == 3
        assert workload_stats().total >= 4
        got = claim_workload(name, runtime="go")
        if got is not None:
            assert update_workload(got.id, claim=got, status="completed", output=b"\0\xff").output == b"\0\xff"
            claimed.append(got.id)
        with pytest.raises(ZeroDivisionError), Workload._meta.database.atomic():
            create_workload(runtime="go", id=f"undone {name}")
            1 / 0
    return claimed


def work(barrier, place, target):
    with open_store(target), ThreadPoolExecutor(THREADS) as threads:
        barrier.wait()
        return [name for claimed in threads.map(everything, [place] * THREADS, range(THREADS)) for name in claimed]


def test_threads_and_processes_do_everything_at_once_and_claims_are_exact(target):
    open_store(target).close()

    claimed = [name for names in in_processes(PROCESSES, work, target) for name in names]

    counts = collections.Counter(claimed)
    with open_store(target):
        assert list_workloads(runtime="go").total == THREADS * PROCESSES * EACH
        assert max(counts.values()) == 1
        assert {row.id for row in iter_workloads(status="completed")} == set(counts)
        assert purge_workloads(datetime.now(UTC) + timedelta(days=1)) == len(claimed) + 3 * THREADS * PROCESSES * EACH


def test_a_store_that_is_read_only_refuses_every_write(target):
    with open_store(target):
        made = make_workload()
    with open_store(target, read_only=True) as store:
        for write in (
            lambda: release_workloads(node_id="nobody"),
            lambda: Workload.create(runtime="go"),
            lambda: store.database.execute_sql("DELETE FROM workloads"),
        ):
            with pytest.raises((StoreUnavailableError, PeeweeException), match="read.only"):
                write()
            with pytest.raises((StoreUnavailableError, PeeweeException), match="read.only"), store.database.atomic():
                write()

        assert [row.__data__ for row in Workload.select()] == [made.__data__]

    # What it asked for is gone with its statement: the same server connections write for others.
    with open_store(target):
        for _ in range(10):
            make_workload()
        assert list_workloads().total == 11


def test_a_locked_row_is_not_waited_for_without_end(target):
    psycopg = pytest.importorskip("psycopg")
    with open_store(f"{target}?lock_timeout=50"), psycopg.connect(target) as other:
        made = make_workload()
        other.execute("SELECT id FROM workloads FOR UPDATE")

        with pytest.raises(StoreUnavailableError, match="locked for 0.05 s"):
            update_workload(made.id, status="killed")

        other.rollback()
        assert get_workload(made.id).status == "pending"
        ((left,),) = execute(target, "SHOW lock_timeout")
    assert left == "0"


def test_a_store_goes_on_when_the_pooler_was_started_again(target, bouncer):
    with open_store(target):
        made = make_workload()
        bouncer.restart()

        assert get_workload(made.id) == made
        assert update_workload(made.id, node_id="node-1").node_id == "node-1"


def test_a_server_that_ends_behind_the_pooler_in_the_middle_of_a_write_leaves_its_end_unknown(target):
    with open_store(target) as store:
        store.database.read(
            "CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NEW; END $$"
        )
        store.database.read("CREATE TRIGGER ends BEFORE INSERT ON workloads FOR EACH ROW EXECUTE FUNCTION end_it()")

        with pytest.raises(StoreUnavailableError) as loss:
            create_workload(runtime="go")
        with pytest.raises(StoreUnavailableError) as inside, store.database.atomic():
            create_workload(runtime="go")

        assert loss.value.maybe_done and not inside.value.maybe_done
        assert list_workloads().total == 0
