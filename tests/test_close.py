"""Closing: which store is current then, what is left, and that nothing reopens."""

from pathlib import Path

import pytest
import vulcan_store
from calls import CALLS
from cases import each

from vulcan_store import StoreUnavailableError, close_store, get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload


def test_closing_again_or_with_nothing_open_does_nothing(path):
    with open_store(":memory:"):
        store = open_store(path)
        store.close()

        store.close()

        assert list_workloads().total == 0
    assert close_store() is None
    assert close_store() is None


def test_leaving_by_an_error_closes_but_rolls_nothing_back(path):
    with pytest.raises(ZeroDivisionError):
        with open_store(path):
            make_workload(id="kept")
            1 / 0

    with pytest.raises(StoreUnavailableError):
        list_workloads()
    with open_store(path):
        assert get_workload("kept").id == "kept"


@each("name", list(CALLS))
def test_no_function_works_or_opens_a_store_while_none_is_open(path, name):
    with pytest.raises(StoreUnavailableError, match=r"open_store\(\)") as refusal:
        CALLS[name][1](vulcan_store, path)

    assert refusal.value.target is None
    assert not Path(path).exists()
