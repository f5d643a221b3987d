"""Random workloads over the whole range of every column, written and read back."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter

import pytest

from guarantees.processes import rows
from vulcan_store import (
    Isolation,
    Runtime,
    Status,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
)

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SPAN = (LAST - FIRST) // MICROSECOND
PLANES = [(plane << 16, (plane << 16) + 0xFFFF) for plane in range(17)]
EXTREMES = (0, 1, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1)
COLUMNS = tuple(Workload._meta.fields)


def character(rng):
    while True:
        code = rng.randint(*rng.choice(PLANES)) if rng.random() < 0.7 else rng.randrange(0x180)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def text(rng, least=0):
    return "".join(character(rng) for _ in range(rng.choice((least, 1, 2, 7, 40))))


def key(rng, number):
    return text(rng).replace("\0", "") + f"{number:x}"


def moment(rng):
    """A time whose UTC is a time as well, at any offset that keeps its local time one."""
    at = FIRST + MICROSECOND * rng.choice((0, SPAN, rng.randint(0, SPAN), rng.randint(0, SPAN)))
    if rng.random() < 0.5:
        at = at.replace(microsecond=rng.choice((0, 1, 120_000, 999_999)))
    for _ in range(10):
        offset = timezone(timedelta(microseconds=rng.randint(-86_399_999_999, 86_399_999_999)))
        try:
            return at.astimezone(offset)
        except OverflowError:
            continue
    return at


def natural(rng):
    return rng.choice((*EXTREMES, rng.randint(0, 2**63 - 1)))


def output(rng):
    kind = rng.random()
    size = rng.randrange(300) if kind < 0.9 else rng.randrange(30_000)
    return rng.choice((bytes, bytearray, memoryview))(rng.randbytes(size if kind > 0.1 else 0))


def workload(rng, number):
    fields = {
        "id": key(rng, number),
        "status": rng.choice(list(Status)),
        "isolation": rng.choice((*Isolation, "")),
        "runtime": rng.choice(list(Runtime)),
        "node_id": text(rng),
        "created_at": moment(rng),
    }
    optional = {
        "input_hash": text, "error": text, "output": output, "cpu_limit": natural, "mem_limit": natural,
        "timeout_s": natural, "duration_ms": natural, "started_at": moment, "finished_at": moment,
        "exit_code": lambda rng: rng.choice((1, -1)) * natural(rng) or -(2**63),
    }
    for name, make in optional.items():
        fields[name] = make(rng) if rng.random() < 0.8 else None
    return fields


def assert_equal(found, fields):
    for name in COLUMNS:
        value = getattr(found, name)
        absent = "" if name in ("input_hash", "error") else None
        assert value == (absent if fields[name] is None else fields[name]), name
        if isinstance(value, datetime):
            assert value.tzinfo is UTC
    assert type(found.output) in (bytes, type(None))
    assert type(found.status) is Status and type(found.runtime) is Runtime


@pytest.fixture
def opened(path):
    with open_store(path, pragmas={"synchronous": "off"}) as store:
        yield store


def test_what_was_written_is_read_back_equal_and_in_order(opened, effort):
    values = effort(600, long=4000)
    rng = random.Random(20260218)
    given = {fields["id"]: fields for fields in (workload(rng, number) for number in range(values))}

    for fields in given.values():
        assert_equal(create_workload(**fields), fields)

    newest_first = sorted(given.values(), key=lambda fields: fields["id"].encode(), reverse=True)
    newest_first.sort(key=lambda fields: fields["created_at"], reverse=True)
    page = list_workloads(values + 1)
    assert page.total == len(given) == values
    for found, fields in zip(page.items, newest_first, strict=True):
        assert_equal(found, fields)
    for fields in rng.sample(newest_first, 200):
        assert_equal(get_workload(fields["id"]), fields)
        assert_equal(Workload.get(Workload.id == fields["id"], Workload.created_at == fields["created_at"]), fields)


def test_what_was_changed_is_read_back_equal_and_the_rest_is_as_it_was(opened, effort):
    rng = random.Random(7)
    names = ("node_id", "output", "exit_code", "error", "duration_ms", "started_at", "finished_at")

    for number in range(effort(150, long=400)):
        fields = {**workload(rng, number), "status": rng.choice(["pending", "running"])}
        create_workload(**fields)
        changes = workload(rng, number)
        changes = {name: changes[name] for name in rng.sample(names, rng.randint(1, len(names)))}
        assert_equal(update_workload(fields["id"], **changes), {**fields, **changes})
        assert_equal(get_workload(fields["id"]), {**fields, **changes})


def test_outputs_of_many_mebibytes_come_back_whole(opened, effort):
    rng = random.Random(16)
    large = [rng.randbytes(effort(4, long=64) * 2**20) for _ in range(3)]

    created = create_workload(runtime="oci", output=large[0])
    update_workload(created.id, output=large[1])
    create_workload(runtime="oci", id="0", output=memoryview(large[2]), created_at=FIRST)

    assert get_workload(created.id).output == large[1]
    assert all(found.output == bytes_ for found, bytes_ in zip(list_workloads().items, large[1:], strict=True))
    assert [found.output for found in list_workloads(with_output=False).items] == [None, None]


def test_every_character_of_unicode_comes_back_in_every_text(opened):
    everything = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)

    created = create_workload(
        runtime="go", id=everything[1:], node_id=everything, input_hash=everything, error=everything
    )

    found = get_workload(everything[1:])
    assert (created.node_id, found.node_id) == (everything, everything)
    assert (found.id, found.input_hash, found.error) == (everything[1:], everything, everything)
    assert list_workloads(input_hash=everything).total == 1


def test_times_sort_as_times_from_the_first_microsecond_to_the_last(opened, path):
    times = [FIRST, FIRST + MICROSECOND, datetime(999, 12, 31, tzinfo=UTC), datetime(1969, 7, 20, tzinfo=UTC)]
    times += [datetime(2026, 2, 18, 11, 12, 42, microsecond, UTC) for microsecond in (0, 1, 10, 100_000, 999_999)]
    times += [LAST - MICROSECOND, LAST]

    for at in random.Random(1).sample(times, len(times)):
        create_workload(runtime="go", created_at=at)

    assert list(map(attrgetter("created_at"), list_workloads(100).items)) == times[::-1]
    for place, at in enumerate(times):
        assert list_workloads(0, created_since=at).total == len(times) - place
        assert list_workloads(0, created_before=at).total == place
    stored = [text for text, in rows(path, "created_at")]
    assert sorted(stored) == [at.strftime("%Y-%m-%d %H:%M:%S.%f+00:00").zfill(32) for at in times]
