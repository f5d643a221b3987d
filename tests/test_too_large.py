"""What is larger than SQLite takes is refused by its field, and nothing of it is written."""

import pytest
from cases import each

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    create_workload,
    create_workloads,
    get_workload,
    open_store,
    update_workload,
)
from vulcan_store.testing import make_workload

LENGTH = 0
"""The number of SQLite's limit: https://www.sqlite.org/c3ref/c_limit_attached.html"""

WAYS = {
    "create_workload": lambda output: create_workload(runtime="go", output=output),
    "create_workload(Workload)": lambda output: create_workload(Workload(runtime="go", output=output)),
    "create_workloads": lambda output: create_workloads([{"runtime": "go"}, {"runtime": "go", "output": output}]),
    "update_workload": lambda output: update_workload("there", output=output),
    "create": lambda output: Workload.create(runtime="go", output=output),
    "insert_many": lambda output: Workload.insert_many([{"runtime": "go", "output": output}]).execute(),
    "update": lambda output: Workload.update(output=output).execute(),
}


@pytest.fixture(params=["memory", "file"])
def small(request, tmp_path):
    """A transaction on a connection that takes a thousand bytes, so that no test needs a thousand million."""
    with open_store(":memory:" if request.param == "memory" else tmp_path / "vulcan.db") as store:
        make_workload(id="there")
        with store.database.atomic():
            connection = store.database.connection()
            limit = connection.setlimit(LENGTH, 1000)
            yield store
            connection.setlimit(LENGTH, limit)


@each("write", WAYS)
def test_an_output_beyond_the_limit_is_refused_by_its_field(small, write):
    with pytest.raises(InvalidWorkloadError) as refusal:
        write(bytearray(b"x" * 1001))

    assert refusal.value.field == "output"
    assert "1,000,000,000 bytes" in refusal.value.expected
    assert len(str(refusal.value)) < 400
    assert [(workload.id, workload.output) for workload in Workload.select()] == [("there", None)]


def test_a_number_beyond_64_bits_in_a_query_is_what_python_says(small):
    with pytest.raises(OverflowError, match="int too large"):
        list(Workload.select().where(Workload.exit_code == 2**70))


def test_an_output_within_the_limit_is_stored(small):
    update_workload("there", output=b"x" * 500)

    assert get_workload("there").output == b"x" * 500
