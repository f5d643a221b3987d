"""How it looks: the table, at a terminal and in a pipe; and what a terminal would obey."""

from datetime import UTC, datetime, timedelta

from cases import each
from commandline import on_terminal, vulcan

from vulcan_store import append_log_lines
from vulcan_store.testing import make_workload

WIDE = {"isolation": "microvm", "runtime": "python", "status": "completed", "duration_ms": 45_240_000}
OBEYED = "\x1b[2J\x7f\x9b"


@each("columns", [0, 1, 40, 200])
def test_a_table_is_cut_at_the_terminals_width_and_whole_in_a_pipe(file_store, columns):
    for days, node_id in enumerate(("node-17.eu-west-1.example", "n" * 10_000, "")):
        make_workload(**WIDE, node_id=node_id, created_at=datetime.now(UTC) - timedelta(days=5 * days + 1, hours=7))

    *seen, last = on_terminal("list", columns=columns).splitlines()
    *whole, same = vulcan("list").stdout.splitlines()

    room = columns or 80
    assert seen == [line if len(line) <= room else line[:room - 1] + "…" for line in whole]
    assert last == same == "1-3 of 3"
    assert [line.split()[4:] for line in whole[1:]] == [
        ["1.3d", "12.6h", "node-17.eu-west-1.example"], ["6.3d", "12.6h", "n" * 10_000], ["11.3d", "12.6h", "-"],
    ]


@each("duration_ms, shown, ago, age", [
    (None, "-", timedelta(days=-1), "0ms"), (0, "0ms", timedelta(hours=3, minutes=6), "3.1h"),
    (59_940, "59.9s", timedelta(days=801), "2.2y"), (60_000, "1.0m", timedelta(weeks=1), "7.0d"),
    (2**63 - 1, "292,471,208.7y", timedelta(minutes=6), "6.0m"),
])
def test_a_length_of_time_is_in_its_largest_unit(file_store, duration_ms, shown, ago, age):
    make_workload(duration_ms=duration_ms, created_at=datetime.now(UTC) - ago)

    assert vulcan("list").stdout.splitlines()[1].split()[4:6] == [age, shown]


def test_a_table_keeps_its_shape_whatever_another_program_wrote(file_store):
    make_workload(id="a\nb", node_id="c\td")
    make_workload(id="w", isolation="")
    file_store.database.execute_sql("UPDATE workloads SET created_at = 'soon', duration_ms = 'long', status = 'paused'")

    heading, *table, _ = vulcan("list").stdout.splitlines()

    assert [" ".join(line.split()) for line in table] == [
        "w paused - python soon long -", r"a\nb paused auto python soon long c\td",
    ]
    assert {line.index("  soon") for line in table} == {heading.index("  AGE")}


@each("command", [
    "get ID", "get ID --json", "get ID --output -", "list", "list --quiet", "logs ID", "update ID --error new",
    "claim n", "wait ID --timeout 0s", "export", "get nobody\x7f",
])
def test_nothing_that_is_stored_is_obeyed_by_a_terminal(file_store, command):
    make_workload(id=f"a{OBEYED}", node_id=OBEYED, error=OBEYED, input_hash=OBEYED, output=f"{OBEYED}\n\xff".encode())
    append_log_lines(f"a{OBEYED}", [OBEYED])

    seen = on_terminal(*(f"a{OBEYED}" if word == "ID" else word for word in command.split()))

    assert seen
    assert [char for char in seen if not char.isprintable() and char != "\n"] == []


def test_a_pipe_gets_what_is_stored_and_an_id_a_line(file_store):
    make_workload(id="a\nb\x7f", output=OBEYED.encode())
    append_log_lines("a\nb\x7f", [OBEYED])

    assert vulcan("logs", "a\nb\x7f").stdout == OBEYED + "\n"
    assert vulcan("get --output -", "a\nb\x7f").stdout == OBEYED
    assert vulcan("list --quiet").stdout == "a\\nb\\x7f\n"
