"""Losing a server, or the patience with it: nothing is sent again, and an error says what may have been done."""

import os
import signal
import threading

import pytest
from postgres_server import PostgresServer, execute, started

from vulcan_store import StoreUnavailableError, create_workload, get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload

END_IT = (
    "CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('tries'); "
    "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NEW; END $$"
)
WAIT = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"


@pytest.fixture
def server(postgres):
    """A server of the test's own, which it may stop and start."""
    server = started(PostgresServer)
    yield server
    server.remove()


def test_a_connection_that_the_server_dropped_is_replaced_before_anything_is_sent(server):
    with open_store(server.url()):
        made = make_workload()
        server.stop()
        with pytest.raises(StoreUnavailableError) as loss:
            get_workload(made.id)
        server.start()

        assert not loss.value.maybe_done
        assert get_workload(made.id) == made
        server.stop()
        server.start()
        assert get_workload(made.id) == made


def test_a_transaction_that_was_lost_with_its_connection_says_so_and_leaves_nothing(server):
    with open_store(server.url()) as store:
        with pytest.raises(StoreUnavailableError, match="lost") as loss:
            with store.database.atomic():
                make_workload()
                server.stop()
                server.start()
                make_workload()

        assert not loss.value.maybe_done
        assert list_workloads().total == 0


@pytest.fixture
def ending(remote):
    """Ends the connection of whoever inserts a workload, at once or at its commit; counts how often."""

    def end(trigger):
        for statement in ("CREATE SEQUENCE tries", END_IT, trigger):
            remote.database.read(statement)

    yield end
    ((tries,),) = remote.database.read("SELECT last_value FROM tries")
    assert tries == 1


def test_a_write_whose_connection_is_lost_is_not_sent_again_and_says_that_its_end_is_not_known(ending):
    ending("CREATE TRIGGER ends BEFORE INSERT ON workloads FOR EACH ROW EXECUTE FUNCTION end_it()")

    with pytest.raises(StoreUnavailableError, match="may or may not have been done") as loss:
        create_workload(runtime="go")

    assert loss.value.maybe_done
    assert list_workloads().total == 0


def test_a_commit_whose_connection_is_lost_says_that_its_end_is_not_known(remote, ending):
    ending(
        "CREATE CONSTRAINT TRIGGER ends AFTER INSERT ON workloads DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION end_it()"
    )

    with pytest.raises(StoreUnavailableError, match="may or may not have been done") as loss:
        with remote.database.atomic():
            create_workload(runtime="go")
            create_workload(runtime="go")

    assert loss.value.maybe_done
    assert list_workloads().total == 0


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("transact", [False, True], ids=["alone", "in a transaction"])
def test_a_signal_handler_that_raises_leaves_nothing_half_done_and_the_next_call_works(
    postgres_target, remote, error, transact, monkeypatch
):
    def interrupt():
        while execute(postgres_target, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == [(0,)]:
            pass
        os.kill(os.getpid(), signal.SIGUSR1)

    def handle(*_):
        raise error

    def write():
        if transact:
            with remote.database.atomic():
                create_workload(runtime="go", id="first")
                create_workload(runtime="wasm", id="second")
        create_workload(runtime="wasm", id="second")

    remote.database.read(WAIT)
    remote.database.read(
        "CREATE TRIGGER waits BEFORE INSERT ON workloads FOR EACH ROW WHEN (new.id = 'second') EXECUTE FUNCTION wait()"
    )
    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        with pytest.raises(error):
            write()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)

    assert list_workloads().total == 0 and not remote.database.in_transaction()
    create_workload(runtime="go")
    assert list_workloads().total == 1


@pytest.mark.parametrize("code", ["08P01", "08006"])
def test_the_code_by_which_a_pooler_tells_of_a_lost_server_is_a_loss_though_the_connection_is_still_open(remote, code):
    remote.database.read(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'server conn crashed?' USING ERRCODE = '{code}'; END $$"
    )
    remote.database.read("CREATE TRIGGER tells BEFORE INSERT ON workloads FOR EACH ROW EXECUTE FUNCTION tell()")

    with pytest.raises(StoreUnavailableError, match="lost .server conn crashed?") as loss:
        create_workload(runtime="go")

    assert loss.value.maybe_done
    assert list_workloads().total == 0
