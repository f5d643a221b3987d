"""What the users' own tests get: a fresh store, and workloads to fill it with."""

import os
import textwrap

import pytest
from cases import each
from workloads import NOON

from vulcan_store import InvalidWorkloadError, Status, get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload, store_for_tests

pytest_plugins = ["pytester"]


@each("status, started, finished", [
    (None, None, None), ("pending", None, None), ("running", NOON, None),
    *((status, None, NOON) for status in ("completed", "failed", "killed")),
])
def test_the_times_of_a_made_workload_belong_to_its_status(store, status, started, finished):
    made = make_workload(created_at=NOON, **({} if status is None else {"status": status}))

    stored = get_workload(made.id)
    assert (stored.status, stored.started_at, stored.finished_at) == (status or Status.PENDING, started, finished)


def test_what_is_given_wins_and_a_wrong_field_is_refused_as_by_the_store(store):
    made = make_workload(status="failed", runtime="go", finished_at=None)

    assert (made.runtime, made.finished_at) == ("go", None)
    with pytest.raises(InvalidWorkloadError):
        make_workload(colour="red")


def run(pytester, test, conftest="", *options):
    """Run a test file as a user would who has switched the plugin on, with warnings as errors."""
    pytester.makeconftest(f'pytest_plugins = ["vulcan_store.testing"]\n{textwrap.dedent(conftest)}')
    pytester.makepyfile(textwrap.dedent(test))
    return pytester.runpytest_inprocess("-W", "error", "-p", "no:cacheprovider", *options)


def test_the_plugin_gives_each_test_a_fresh_store_in_a_file_of_its_own(pytester):
    result = run(pytester, """
        import pytest
        from vulcan_store import list_workloads
        from vulcan_store.testing import make_workload

        @pytest.mark.parametrize("time", ["first", "second"])
        def test_it(workload_store, tmp_path, time):
            assert workload_store.target == str(tmp_path / "vulcan.db")
            assert workload_store.database.execute_sql("PRAGMA synchronous").fetchone() == (0,)
            assert workload_store.database.execute_sql("PRAGMA journal_mode").fetchone() == ("wal",)
            make_workload()
            assert list_workloads().total == 1
    """)

    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("scope, expected", [("module", [1, 2, 1]), ("session", [1, 2, 3])])
def test_a_store_may_last_for_a_module_or_a_session(pytester, scope, expected):
    test = f"""
        from vulcan_store import list_workloads
        from vulcan_store.testing import make_workload

        def test_it({scope}_workload_store):
            make_workload()
            print("holds", list_workloads().total)

        def test_again({scope}_workload_store):
            test_it(None)
    """
    pytester.makepyfile(test_other=textwrap.dedent(test).partition("def test_again")[0])

    result = run(pytester, test, "", "-s", "test_a_store_may_last_for_a_module_or_a_session.py", "test_other.py")

    result.assert_outcomes(passed=3)
    held = [int(line.partition("holds ")[2].split()[0]) for line in result.outlines if "holds" in line]
    assert held == expected


def test_code_under_test_that_opens_its_own_store_opens_the_tests_and_never_a_real_one(pytester):
    with open_store(pytester.path / "vulcan.db"):
        result = run(pytester, """
            from vulcan_store import create_workload, list_workloads, open_store

            def application():
                with open_store():
                    create_workload(runtime="go")

            def test_without_a_store():
                application()

            def test_with_one(workload_store):
                application()
                assert list_workloads().total == 1
        """)

        assert list_workloads().total == 0
    result.assert_outcomes(passed=2)


def test_another_target_takes_a_fixture_of_its_name(pytester):
    result = run(pytester, """
        from vulcan_store.testing import make_workload

        def test_it(workload_store):
            assert workload_store.target == ":memory:"
            make_workload()
    """, """
        import pytest

        @pytest.fixture
        def workload_store_target():
            return ":memory:"
    """)

    result.assert_outcomes(passed=1)


def test_the_environment_is_as_before_when_the_store_is_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("VULCAN_DB_PATH", "mine")

    with store_for_tests(tmp_path / "vulcan.db") as store:
        inside = os.environ["VULCAN_DB_PATH"]

    assert (inside, os.environ["VULCAN_DB_PATH"]) == (store.target, "mine")


def test_stores_on_a_database_that_they_share_are_each_empty_and_leave_nothing(postgres):
    with store_for_tests(postgres) as one:
        make_workload(id="w")
        with store_for_tests(postgres) as other:
            assert list_workloads().total == 0
            make_workload(id="w", runtime="oci")
        assert one.get_workload("w").runtime == "python"
        with pytest.raises(ZeroDivisionError), store_for_tests(postgres) as failed:
            make_workload(status=1 / 0)
        schemas = tuple(store.target.rpartition("%3D")[2] for store in (other, failed))
        (left,) = one.database.execute_sql(
            "SELECT COUNT(*) FROM pg_namespace WHERE nspname IN (%s, %s)", schemas
        ).fetchone()

    assert left == 0
