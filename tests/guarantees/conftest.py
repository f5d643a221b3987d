"""How long the guarantees are tried for."""

from __future__ import annotations

import pytest


@pytest.fixture
def crash_rounds(request):
    return request.config.getoption("--crash-rounds")


@pytest.fixture
def values(request):
    return request.config.getoption("--values")
