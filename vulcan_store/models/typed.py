"""The keyword arguments of the operations, by name and type, for type checkers and editors (PEP 692).

Words are ``str``, so that a variable will do; a status, isolation or runtime that does not exist is refused when it is
given.

Not postponed, as elsewhere: of text, each annotation would be compiled by itself at the import, and ``Required`` would
not be seen at run time.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Required, TypedDict

BytesLike = bytes | bytearray | memoryview


class Changes(TypedDict, total=False):
    """What may be changed of a workload."""

    status: str
    node_id: str
    output: BytesLike | None
    exit_code: int | None
    error: str | None
    duration_ms: int | None  # milliseconds
    started_at: datetime | None  # aware
    finished_at: datetime | None  # aware


class OptionalFields(Changes, total=False):
    """The fields of a new workload that are filled in, or absent, unless they are given."""

    id: str
    isolation: str
    input_hash: str | None
    cpu_limit: int | None  # virtual CPUs
    mem_limit: int | None  # MB
    timeout_s: int | None  # seconds
    created_at: datetime  # aware


class NewWorkload(OptionalFields, total=False):
    """The fields of a new workload."""

    runtime: Required[str]


class ClaimFilters(TypedDict, total=False):
    """What a claimed workload has to match: for each field one value, or a collection of values."""

    isolation: str | Collection[str] | None
    runtime: str | Collection[str] | None


class Filters(ClaimFilters, total=False):
    """What listed workloads have to match; None is no filter."""

    status: str | Collection[str] | None
    node_id: str | Collection[str] | None
    input_hash: str | Collection[str] | None
    created_since: datetime | None  # aware, inclusive
    created_before: datetime | None  # aware, exclusive
    started_since: datetime | None  # aware, inclusive
    started_before: datetime | None  # aware, exclusive
    finished_since: datetime | None  # aware, inclusive
    finished_before: datetime | None  # aware, exclusive
