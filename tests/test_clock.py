"""The clock: every form of text that is read as a time, the one that is written, and bounds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from vulcan_store.models import clock

MOMENT = datetime(2026, 2, 18, 11, 12, 42, tzinfo=UTC)


def at(microsecond=0, **shift):
    return MOMENT.replace(microsecond=microsecond) + timedelta(**shift)


FORMS = {
    "2026-02-18 11:12:42.123456+00:00": at(123456),
    "2026-02-18 11:12:42.000000+00:00": at(),
    "2026-02-18 11:12:42": at(),
    "2026-02-18 11:12:42+00:00": at(),
    "2026-02-18 13:12:42.5+02:00": at(500000),
    "2026-02-18T11:12:42Z": at(),
    "2026-02-18T11:12:42.123Z": at(123000),
    "2026-02-18T11:12:42.123456789Z": at(123456),
    "2026-02-18T06:12:42-05:00": at(),
    "2026-02-18T11:12:42": at(),
    "2026-02-18 11:12:42 +0000 UTC": at(),
    "2026-02-18 11:12:42.1 +0000 UTC": at(100000),
    "2026-02-18 11:12:42.12 +0000 UTC": at(120000),
    "2026-02-18 11:12:42.123 +0000 UTC": at(123000),
    "2026-02-18 11:12:42.1234 +0000 UTC": at(123400),
    "2026-02-18 11:12:42.12345 +0000 UTC": at(123450),
    "2026-02-18 11:12:42.123456 +0000 UTC": at(123456),
    "2026-02-18 11:12:42.1234567 +0000 UTC": at(123456),
    "2026-02-18 11:12:42.12345678 +0000 UTC": at(123456),
    "2026-02-18 11:12:42.123456789 +0000 UTC": at(123456),
    "2026-02-18 11:12:42.999999999 +0000 UTC": at(999999),
    "2026-02-18 11:12:42.000000001 +0000 UTC": at(),
    "2026-02-18 11:12:42.123456789 +0000 UTC m=+0.123": at(123456),
    "2026-02-18 11:12:42 +0000 UTC m=+12345.000000001": at(),
    "2026-02-18 11:12:42 +0000 UTC m=-0.5": at(),
    "2026-02-18 12:12:42.25 +0100 CET": at(250000),
    "2026-02-18 13:12:42 +0200 CEST m=+0.123": at(),
    "2026-02-18 03:12:42 -0800 PST": at(),
    "2026-02-18 16:42:42 +0530 IST": at(),
    "2026-02-18 16:57:42 +0545 +0545": at(),
    "2026-02-18 08:12:42 -0300 -03": at(),
    "2026-02-18 11:12:42 +0000 +0000": at(),
    "2026-02-19 00:12:42 +1300 NZDT": at(),
    "2026-02-17 23:12:42 -1200 -12": at(),
    "0001-01-01 00:00:00 +0000 UTC": datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31 23:59:59.999999999 +0000 UTC": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
}


@pytest.mark.parametrize("text, expected", FORMS.items())
def test_every_form_is_read_as_its_moment_in_utc(text, expected):
    moment = clock.from_text(text)

    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("text", [
    "", "soon", "2026-02-30 11:12:42 +0000 UTC", "2026-02-18 25:00:00", "2026-02-18 11:12:42.1234567890 +0000 UTC",
    "2026-02-18 11:12:42 +0000 UTC trailing words", "0001-01-01 00:00:00 +0100 CET", "0001-01-01 00:00:00+01:00",
    "12026-02-18 11:12:42 +0000 UTC", "2026-02-18 11:12:42 +9900 X", "\0", 5, 0.5, b"2026-02-18 11:12:42",
])
def test_what_is_no_time_comes_back_as_it_is(text):
    assert clock.from_text(text) == text


def test_a_time_that_a_driver_has_read_is_moved_to_utc():
    moment = clock.from_text(MOMENT.astimezone(timezone(timedelta(hours=-7))))

    assert moment == MOMENT
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("moment, expected", [
    (at(), "2026-02-18 11:12:42.000000+00:00"),
    (at(123456), "2026-02-18 11:12:42.123456+00:00"),
    (at(1).astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-02-18 11:12:42.000001+00:00"),
    (at().replace(tzinfo=timezone.utc), "2026-02-18 11:12:42.000000+00:00"),
    (at(hours=-12).astimezone(timezone(timedelta(hours=14))), "2026-02-17 23:12:42.000000+00:00"),
    (datetime(7, 1, 1, tzinfo=UTC), "0007-01-01 00:00:00.000000+00:00"),
], ids=str)
def test_what_is_written_is_utc_with_six_decimals(moment, expected):
    assert clock.to_text(moment) == expected
    assert clock.from_text(expected) == moment


@pytest.mark.parametrize("moment", [
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=1))),
], ids=str)
def test_a_moment_outside_the_years_of_utc_cannot_be_written(moment):
    with pytest.raises(OverflowError):
        clock.to_text(moment)


def test_the_order_of_text_is_the_order_of_time():
    moments = [at(microsecond, **shift) for shift in ({}, {"seconds": 1}, {"days": -400}, {"days": 30_000})
               for microsecond in (0, 1, 10, 500_000, 999_999)]

    assert sorted(moments) == [clock.from_text(text) for text in sorted(map(clock.to_text, moments))]


@pytest.mark.parametrize("microsecond", [0, 1, 10, 100_000, 123_450, 500_000, 999_999])
def test_a_bound_lies_below_every_form_of_its_moment_and_above_what_is_earlier(microsecond):
    moment = at(microsecond)
    decimals = f".{microsecond:06}".rstrip("0").rstrip(".")
    forms = [clock.to_text(moment), f"2026-02-18 11:12:42{decimals} +0000 UTC"]

    bound = clock.to_bound(moment)

    assert all(form >= bound for form in forms)
    assert clock.to_text(moment - timedelta(microseconds=1)) < bound
    assert clock.to_text(moment - timedelta(seconds=1)) < bound


def test_now_is_aware_and_in_utc():
    before = datetime.now(UTC)

    moment = clock.now()

    assert before <= moment <= datetime.now(UTC) + timedelta(microseconds=1)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("microsecond", [0, 7, 120, 500_000, 999_999])
def test_now_as_text_is_the_text_of_now_in_each_second(monkeypatch, microsecond):
    for seconds in (0, 1, 1, 86_400, 0):
        moment = at(microsecond, seconds=seconds)
        nanoseconds = int(moment.timestamp()) * 1_000_000_000 + microsecond * 1_000
        for off in (0, 499, -500):
            monkeypatch.setattr(time, "time_ns", lambda now=nanoseconds + off: now)

            assert clock.now_as_text() == clock.to_text(moment)
            assert clock.now() == moment
