"""What the users' own tests get: a fresh store, and workloads to fill it with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vulcan_store import InvalidWorkloadError, Status, get_workload, list_workloads
from vulcan_store.testing import make_workload

pytest_plugins = ["pytester"]

NOON = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status, started, finished", [
    (None, None, None), ("pending", None, None), ("running", NOON, None),
    *((status, NOON, NOON) for status in ("completed", "failed", "killed")),
])
def test_the_times_of_a_made_workload_belong_to_its_status(store, status, started, finished):
    made = make_workload(created_at=NOON, **({} if status is None else {"status": status}))

    stored = get_workload(made.id)
    assert (stored.status, stored.started_at, stored.finished_at) == (status or Status.PENDING, started, finished)


def test_what_is_given_wins(store):
    made = make_workload(status="failed", runtime="go", created_at=NOON, finished_at=None)

    assert (made.runtime, made.started_at, made.finished_at) == ("go", NOON, None)


def test_a_wrong_field_is_refused_as_by_the_store(store):
    with pytest.raises(InvalidWorkloadError):
        make_workload(colour="red")

    assert list_workloads().total == 0


def test_the_plugin_gives_each_test_a_fresh_store_in_memory(pytester):
    pytester.makeconftest('pytest_plugins = ["vulcan_store.testing"]')
    pytester.makepyfile("""
        import pytest
        from vulcan_store import list_workloads
        from vulcan_store.testing import make_workload

        @pytest.mark.parametrize("time", ["first", "second"])
        def test_it(workload_store, time):
            assert workload_store.target == ":memory:"
            make_workload()
            assert list_workloads().total == 1
    """)

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=2)
