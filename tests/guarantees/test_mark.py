"""The mark by which a pool knows the process that it was made in."""

from __future__ import annotations

import mmap

import pytest

from guarantees.processes import fork_behind_pythons_back, forked
from vulcan_store.engines.mark import new_mark


class PlainMmap(mmap.mmap):
    """As where the system cannot wipe a page."""

    def madvise(self, *arguments):
        raise OSError


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("page", [mmap.mmap, PlainMmap], ids=["wiped", "not wiped"])
def test_a_mark_is_there_in_the_process_that_made_it_and_in_no_child(monkeypatch, page):
    monkeypatch.setattr(mmap, "mmap", page)
    mark = new_mark()

    children = [forked(lambda: mark[0])(), forked(lambda: mark[0], fork=fork_behind_pythons_back)()]

    assert children == [0, 0]
    assert mark[0] == 1
    assert forked(lambda: new_mark()[0])() == 1
