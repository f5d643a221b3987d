"""Times: every form of text that is read as one, the one that is written, and the clock."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cases import each
from hypothesis import given
from hypothesis import strategies as st
from values import moments
from workloads import NOON

from vulcan_store import Workload, create_workload, get_workload, open_store

WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00")


@pytest.fixture
def opened():
    with open_store(":memory:") as store:
        create_workload(id="w", runtime="go")
        yield store


def read_as(store, text):
    store.database.execute_sql("UPDATE workloads SET created_at = ?", (text,))
    found = get_workload("w").created_at
    assert found == Workload.get().created_at
    return found


@st.composite
def written(draw):
    """A text as Go, SQLite and ISO 8601 write times, and the time that it is."""
    at = draw(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))
    zone = timezone(timedelta(minutes=draw(st.integers(-14 * 60, 14 * 60))))
    digits = f"{at.microsecond:06}{draw(st.integers(0, 999)):03}"[:draw(st.integers(0, 9))]
    seconds, offset = at.isoformat(" ", "seconds") + (digits and f".{digits}"), at.replace(tzinfo=zone).strftime("%z")
    moment = at.replace(microsecond=int(digits[:6].ljust(6, "0")), tzinfo=zone).astimezone(UTC)
    forms = [
        f"{seconds} {offset} {draw(st.sampled_from(['UTC', 'CEST', offset, 'UTC m=+0.123']))}",
        f"{seconds}{offset[:3]}:{offset[3:]}",
        f"{seconds}{offset[:3]}:{offset[3:]}".replace(" ", "T"),
    ]
    if zone.utcoffset(None) == timedelta(0):
        forms += [seconds, f"{seconds}Z".replace(" ", "T")]
    return draw(st.sampled_from(forms)), moment


@given(written())
def test_every_form_is_read_as_its_moment_in_utc(opened, text_and_moment):
    text, moment = text_and_moment

    found = read_as(opened, text)

    assert (found, found.tzinfo) == (moment, UTC)


@each("text", [
    "", "soon", "2026-02-30 11:12:42 +0000 UTC", "2026-02-18 25:00:00", "2026-02-18 11:12:42.1234567890 +0000 UTC",
    "2026-02-18 11:12:42 +0000 UTC trailing words", "0001-01-01 00:00:00 +0100 CET", "0001-01-01 00:00:00+01:00",
    "12026-02-18 11:12:42 +0000 UTC", "2026-02-18 11:12:42 +9900 X", "\0", 5, 0.5, b"2026-02-18 11:12:42",
])
def test_what_is_no_time_comes_back_as_it_is(opened, text):
    assert read_as(opened, text) == text


@given(st.lists(moments, min_size=2, max_size=5))
def test_what_is_written_is_utc_with_six_decimals_in_the_order_of_time(opened, some):
    texts = {}
    for moment in some:
        Workload.update(started_at=moment).execute()
        texts[moment] = opened.database.execute_sql("SELECT started_at FROM workloads").fetchone()[0]

    assert all(WRITTEN.fullmatch(text) for text in texts.values())
    assert sorted(texts) == sorted(texts, key=texts.get)


@each("microsecond", [0, 7, 120, 500_000, 999_999])
def test_a_workload_is_created_at_the_time_of_a_clock_that_tests_set(opened, monkeypatch, microsecond):
    for seconds in (0, 1, 1, 86_400, 0):
        moment = NOON.replace(microsecond=microsecond) + timedelta(seconds=seconds)
        nanoseconds = int(moment.timestamp()) * 1_000_000_000 + microsecond * 1_000
        for off in (0, 499, -500):  # what freezes clocks makes nanoseconds of a float
            monkeypatch.setattr(time, "time_ns", lambda now=nanoseconds + off: now)

            assert create_workload(runtime="go").created_at == moment
            assert Workload.create(runtime="go").created_at == moment


def test_a_time_of_now_is_aware_and_in_utc(opened):
    before = datetime.now(UTC)

    moment = create_workload(runtime="go").created_at

    assert before <= moment <= datetime.now(UTC) + timedelta(microseconds=1)
    assert moment.tzinfo is UTC
