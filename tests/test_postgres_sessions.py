"""What does not depend on a session's settings: waiting for locks, reading only, times, and how many connections."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from guarantees.processes import PATIENCE, transaction_elsewhere
from peewee import PeeweeException, fn
from postgres_server import execute

from vulcan_store import (
    StoreUnavailableError,
    Workload,
    append_log_lines,
    backup_store,
    claim_workload,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_workloads,
    open_store,
    purge_workloads,
    restore_store,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload

try:
    import psycopg
except ImportError:
    REFUSALS = (PeeweeException,)
else:
    REFUSALS = (PeeweeException, psycopg.Error)
"""A cursor's executemany raises what the driver's own raises."""

MOMENT = datetime(2026, 2, 18, 11, 12, 42, 123456, tzinfo=UTC)


@pytest.fixture(params=["", "&prepare_threshold=0"], ids=["unprepared", "prepared"])
def target(request, postgres_target):
    return postgres_target + request.param


@pytest.fixture
def locked(postgres_target):
    """Locks a workload's row in another session until the test is over."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres_target) as other:
        yield lambda workload: other.execute("SELECT id FROM workloads WHERE id = %s FOR UPDATE", (workload.id,))
        other.rollback()


@pytest.mark.parametrize("write", [
    lambda made: update_workload_status(made.id, "killed"),
    lambda made: update_workload(made.id, output=b"x"),
    lambda made: append_log_lines(made.id, ["one"]),
    lambda made: purge_workloads(datetime.now(UTC) + timedelta(days=1)),
    lambda made: made.delete_instance(),
    lambda made: Workload.select().for_update().execute(),
], ids=["status", "update", "log", "purge", "Peewee", "lock"])
def test_a_row_that_somebody_else_has_locked_is_not_waited_for_without_end(target, locked, write):
    bounded = target.replace("options=", "options=-c%20statement_timeout%3D20s%20")  # or a failure would never end
    with open_store(f"{bounded}&lock_timeout=50") as store:
        made, done = make_workload(), make_workload(status="failed")
        locked(made)
        locked(done)

        with pytest.raises((StoreUnavailableError, PeeweeException), match="locked for 0.05 s|lock timeout"):
            write(made)
        with pytest.raises(StoreUnavailableError), store.database.atomic():
            update_workload_status(made.id, "killed")

        assert get_workload(made.id).__data__ == made.__data__ and list_workloads().total == 2


def test_a_row_is_waited_for_5_seconds_unless_the_url_says_otherwise(postgres_target):
    with open_store(postgres_target) as store, store.database.atomic():
        ((inside,),) = store.database.read("SHOW lock_timeout")

    with open_store(f"{postgres_target}&prepare_threshold=1") as store:
        ((session,),) = store.database.read("SHOW lock_timeout")

    assert (inside, session) == ("5s", "5s")


def test_a_lock_that_is_released_in_time_is_waited_for(target, postgres_target):
    psycopg = pytest.importorskip("psycopg")
    with open_store(target), psycopg.connect(postgres_target) as other, ThreadPoolExecutor() as threads:
        made = make_workload()
        other.execute("UPDATE workloads SET node_id = 'other'")
        waiting = threads.submit(update_workload_status, made.id, "running")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while execute(postgres_target, waits) == [(0,)]:
            assert not waiting.done()
        other.commit()

        assert waiting.result(PATIENCE).node_id == "other"


@pytest.mark.parametrize("write", [
    lambda store: Workload.update(status="killed").execute(),
    lambda store: Workload.create(runtime="go"),
    lambda store: store.database.execute_sql("DELETE FROM workloads"),
    lambda store: store.database.execute_sql("CREATE TABLE other (id int)"),
    lambda store: store.database.execute_sql("WITH gone AS (DELETE FROM workloads RETURNING 1) SELECT * FROM gone"),
    lambda store: store.database.execute_sql("/* why */ DELETE FROM workloads"),
    lambda store: store.database.execute_sql("SELECT nextval('log_lines_id_seq')"),
    lambda store: Workload.select().for_update().execute(),
    lambda store: store.database.cursor().executemany("DELETE FROM workloads WHERE id <> %s", [["x"]]),
], ids=["update", "create", "raw", "create table", "with", "comment", "nextval", "lock", "many"])
def test_a_store_that_is_read_only_refuses_what_peewee_writes_itself(target, write):
    with open_store(target):
        made = make_workload()

    with open_store(target, read_only=True) as store:
        with pytest.raises(REFUSALS, match="read.only"):
            write(store)
        with pytest.raises(REFUSALS, match="read.only"), store.database.atomic():
            write(store)
        with pytest.raises(REFUSALS, match="read.only"):
            with store.database.manual_commit():
                store.database.execute_sql("BEGIN READ WRITE")
                try:
                    write(store)
                finally:
                    store.database.rollback()

        assert [workload.__data__ for workload in Workload.select()] == [made.__data__]


@pytest.mark.parametrize("call", [lambda: backup_store("copy.db"), lambda: restore_store("copy.db")])
def test_backup_and_restore_are_left_to_the_servers_own_programs(postgres_target, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy.db").write_bytes(b"")

    with open_store(postgres_target), pytest.raises(StoreUnavailableError, match="pg_(dump|restore)"):
        call()

    assert (tmp_path / "copy.db").read_bytes() == b""


def test_times_are_instants_in_utc_whatever_the_zone_of_the_session(target):
    with open_store(target) as store:
        made = make_workload(created_at=MOMENT, status="completed")
        second = timedelta(seconds=1)

        newest = Workload.select(fn.MAX(Workload.created_at)).scalar()
        ((raw, zone),) = store.database.execute_sql(
            "SELECT created_at, current_setting('TimeZone') FROM workloads"
        ).fetchall()
        assert newest == raw == get_workload(made.id).created_at == MOMENT
        assert (newest.tzinfo, zone) == (UTC, "Asia/Kolkata")
        assert [row.id for row in iter_workloads(created_since=MOMENT, created_before=MOMENT + second)] == [made.id]
        assert list_workloads(created_before=MOMENT).total == list_workloads(created_since=MOMENT + second).total == 0
        assert purge_workloads(MOMENT) == 0 and purge_workloads(MOMENT + second) == 1


@pytest.mark.parametrize("style", ["German", "SQL,DMY", "Postgres"])
def test_times_are_read_whatever_style_the_role_has(target, style):
    options = quote(f"-c DateStyle={style} ")

    with open_store(target.replace("options=", f"options={options}")):
        made = make_workload(created_at=MOMENT)

        assert get_workload(made.id).created_at == MOMENT


def test_a_time_that_python_cannot_hold_reads_as_its_text(target):
    with open_store(target) as store:
        made = make_workload()
        for moment in ("infinity", "10000-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC"):
            store.database.execute_sql("UPDATE workloads SET started_at = %s", (moment,))

            assert isinstance(get_workload(made.id).started_at, str)


def test_a_hundred_and_fifty_threads_share_ten_connections_which_stay_open(postgres_target, postgres):
    together, served = threading.Barrier(150), set()

    def work(number):
        together.wait(PATIENCE)
        create_workload(runtime="go", id=str(number))
        with store.database.atomic():
            update_workload_status(str(number), "running")
            served.add(store.database.execute_sql("SELECT pg_backend_pid()").fetchone()[0])

    with open_store(f"{postgres_target}&application_name=shared") as store, ThreadPoolExecutor(150) as threads:
        list(threads.map(work, range(150)))

        assert list_workloads(status="running").total == 150
        idle = execute(postgres, "SELECT pid FROM pg_stat_activity WHERE application_name = 'shared'")
    assert len(served) <= 10 and served <= {pid for (pid,) in idle} and len(idle) <= 10


def test_a_thread_that_goes_on_and_on_gives_its_connection_to_one_that_waits(postgres_target):
    with open_store(f"{postgres_target}&pool_size=1&pool_timeout=10") as store, ThreadPoolExecutor(3) as threads:
        served, stop = [], threading.Event()

        def go_on(number):
            while not stop.is_set():
                store.list_workloads(0)
                served.append(number)

        going_on = [threads.submit(go_on, number) for number in range(3)]
        try:
            while len(set(served)) < 3:
                store.list_workloads(0)
        finally:
            stop.set()
        for each in going_on:
            each.result(PATIENCE)


def test_a_caller_that_gets_no_connection_in_time_is_told_what_would_help(postgres_target):
    with open_store(f"{postgres_target}&pool_size=1&pool_timeout=0.05") as store:
        with transaction_elsewhere(store) as (leave, transacting):
            with pytest.raises(StoreUnavailableError, match=r"none of its 1 .* \?pool_size="):
                list_workloads()
            leave.set()
            transacting.result(PATIENCE)

        assert list_workloads().total == 2


def test_a_connection_that_was_idle_for_a_minute_is_closed_when_the_next_call_comes(postgres_target, monkeypatch):
    def backend():
        return store.database.execute_sql("SELECT pg_backend_pid()").fetchone()

    with open_store(postgres_target) as store:
        before = backend()
        assert backend() == before
        monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic(): now + 61)

        assert backend() != before


def test_statements_are_prepared_only_where_the_url_asks_for_it(postgres_target):
    counts = []
    for query in ("", "&prepare_threshold=0"):
        with open_store(f"{postgres_target}{query}") as store:
            made = make_workload()
            get_workload(made.id)
            with store.database.atomic():
                counts.append(store.database.read("SELECT count(*) FROM pg_prepared_statements")[0][0])

    assert counts[0] == 0 < counts[1]


def test_a_transaction_that_could_only_be_rolled_back_says_so(target):
    with open_store(target) as store:
        with pytest.raises(StoreUnavailableError, match="rolled back"), store.database.atomic():
            make_workload()
            with pytest.raises(PeeweeException):
                store.database.execute_sql("SELECT 1 / 0")

        assert list_workloads().total == 0


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_writers_beside_each_other_fail_under_no_default_isolation_of_the_server(target, isolation):
    option = quote(f"-c default_transaction_isolation={isolation.replace(' ', chr(92) + ' ')} ")

    def work(number):
        for _ in range(10):
            update_workload("shared", error=str(number))
            append_log_lines("shared", ["line"])
            with store.database.atomic():
                update_workload("shared", exit_code=get_workload("shared").exit_code)
            Workload.update(node_id=str(number)).where(Workload.id == "shared").execute()
            claimed = claim_workload(str(number))
            update_workload(claimed.id, claim=claimed, status="completed")

    with open_store(target.replace("options=", f"options={option}")) as store:
        assert store.database.execute_sql("SHOW default_transaction_isolation").fetchone() in [
            (isolation,), ("read committed",),  # set for the session where nothing stands between
        ]  # fmt: skip
        create_workload(runtime="go", id="shared", status="running")
        create_workloads({"runtime": "go"} for _ in range(60))
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(work, range(6)))

        assert list_workloads(status="completed").total == 60
