"""Listing page by page, through Peewee's own paginate()."""

from datetime import timedelta

import pytest
from cases import each
from workloads import NOON

from vulcan_store import InvalidWorkloadError, create_workloads, list_workloads


@pytest.fixture
def seven(store):
    """A store with the workloads w0 (newest) to w6."""
    create_workloads(
        {"id": f"w{place}", "runtime": "go", "created_at": NOON - timedelta(minutes=place)} for place in range(7)
    )
    return store


def numbers(page):
    return "".join(workload.id[1:] for workload in page.items)


@each("page", [3, 40_000, 2**63 - 1, 10**30])
@each("limit", [4, 0, 30_000, 2**63 - 1, 10**30])
def test_a_page_beyond_the_end_however_far_is_empty_and_has_its_total(seven, page, limit):
    found = list_workloads(page=page, limit=limit)

    assert (found.items, found.total) == ([], 7)


@each("page", [0, -1, 1.0, "1", True])
def test_what_does_not_count_pages_from_1_is_refused(seven, page):
    with pytest.raises(ValueError) as refusal:
        list_workloads(page=page)

    assert isinstance(refusal.value, InvalidWorkloadError)
    assert (refusal.value.field, refusal.value.expected) == ("page", "a whole number from 1")
    assert refusal.value.value is page


def test_page_and_offset_are_not_given_together(seven):
    with pytest.raises(TypeError, match="page or offset"):
        list_workloads(page=1, offset=1)

    assert numbers(list_workloads(page=1, offset=0)) == "0123456"
    assert numbers(list_workloads(page=None, offset=5)) == "56"
