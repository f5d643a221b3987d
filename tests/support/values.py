"""Values for hypothesis: what each field of a workload takes, and what it refuses."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from unittest.mock import Mock

from hypothesis import strategies as st
from workloads import NOON

from vulcan_store import Isolation, Runtime, Status

LONG_AGO, LATER = NOON.replace(year=2020), NOON.replace(year=2100)
NAIVE = datetime(2026, 2, 18, 12)
BERLIN = timezone(timedelta(hours=2))
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Hostile:
    """Fails whenever it is touched."""

    def _fail(self, *args):
        raise RuntimeError("touched")

    __repr__ = __reduce__ = __hash__ = __eq__ = __len__ = __iter__ = __int__ = _fail


class NotATime(datetime):
    """What pandas' NaT is: a datetime whose utcoffset raises."""

    def utcoffset(self):
        raise ValueError("not a time")


class FailingZone(tzinfo):
    def utcoffset(self, moment):
        raise RuntimeError("no such zone")

    def __repr__(self):
        return "FailingZone()"


def _elsewhere(moment, seconds):
    try:
        return moment.astimezone(timezone(timedelta(seconds=seconds)))
    except OverflowError:
        return moment


# No engine but SQLite holds NUL in text.
# Of numbers, as hypothesis takes seconds to make a table of all characters when it is first asked for some.
texts = st.lists((st.integers(1, 0xD7FF) | st.integers(0xE000, 0x10FFFF)).map(chr), max_size=20).map("".join)
moments = st.builds(
    _elsewhere, st.datetimes(timezones=st.just(UTC)) | st.sampled_from([FIRST, LAST]), st.integers(-86_399, 86_399)
)
naturals = st.integers(0, 2**63 - 1) | st.sampled_from([0, 2**31, 2**53 + 1, 2**63 - 1])

REQUIRED = {"id": texts.filter(bool), "runtime": st.sampled_from(Runtime), "created_at": moments}
CHANGEABLE = {
    "status": st.sampled_from(Status),
    "node_id": texts,
    "output": st.none() | st.builds(lambda kind, data: kind(data), st.sampled_from([bytes, bytearray, memoryview]),
                                    st.binary(max_size=300)),
    "exit_code": st.none() | st.integers(-(2**63), 2**63 - 1),
    "error": st.none() | texts,
    "duration_ms": st.none() | naturals,
    "started_at": st.none() | moments,
    "finished_at": st.none() | moments,
}
FIXED = {
    "isolation": st.sampled_from([*Isolation, ""]),
    "input_hash": st.none() | texts,
    **dict.fromkeys(["cpu_limit", "mem_limit", "timeout_s"], st.none() | naturals),
}
new_workloads = st.fixed_dictionaries(REQUIRED, optional={**CHANGEABLE, **FIXED})

_surrogates = st.integers(0xD800, 0xDFFF).map(chr)
_no_text = st.sampled_from([5, True, b"x", ["x"], Mock(spec=str)]) | st.builds(Hostile) | _surrogates
_no_integer = (
    st.booleans() | st.floats() | texts | st.binary() | st.integers(2**63) | st.integers(None, -(2**63) - 1)
    | st.just(Mock(spec=int)) | st.builds(Hostile)
)  # fmt: skip
_no_natural = _no_integer | st.integers(None, -1)
_no_time = (
    st.datetimes() | st.dates() | st.floats() | texts | st.builds(Hostile) | st.builds(lambda: NotATime(2026, 1, 1))
    | st.builds(lambda: datetime(2026, 1, 1, tzinfo=FailingZone())) | st.just("2026-02-18T12:00:00Z")
    | st.just(datetime(1, 1, 1, tzinfo=BERLIN))
)  # fmt: skip


def _no_word(words):
    return _no_text | st.none() | texts.filter(lambda text: text not in words)


WRONG = {
    "id": _no_text | st.none() | st.just("") | texts.map("{}\0".format),
    "status": _no_word(set(Status)),
    "isolation": _no_word({*Isolation, ""}),
    "runtime": _no_word(set(Runtime)),
    "node_id": _no_text | st.none(),
    "input_hash": _no_text,
    "output": texts | st.integers() | st.builds(Hostile),
    "exit_code": _no_integer,
    "error": _no_text,
    **dict.fromkeys(["cpu_limit", "mem_limit", "timeout_s", "duration_ms"], _no_natural),
    "created_at": _no_time | st.none(),
    "started_at": _no_time,
    "finished_at": _no_time,
}
wrong_values = st.one_of([st.tuples(st.just(name), values) for name, values in WRONG.items()])
wrong_log_values = st.one_of([st.tuples(st.just(name), values) for name, values in {
    "workload": st.none() | st.sampled_from([5, "", b"x"]),
    "seq": st.none() | _no_natural,
    "line": st.none() | _no_text,
    "created_at": st.none() | _no_time,
}.items()])
