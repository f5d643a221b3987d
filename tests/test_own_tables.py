"""Tables and indexes of the user's own, in the same database."""

import pytest
from peewee import ForeignKeyField, IntegrityError, Model, TextField
from values import LATER, LONG_AGO

from vulcan_store import (
    StoreUnavailableError,
    Workload,
    WorkloadExistsError,
    append_log_lines,
    create_workload,
    create_workloads,
    list_log_lines,
    list_workloads,
    purge_workloads,
)
from vulcan_store.testing import make_workload


@pytest.fixture
def tag(store):
    """A model of the user's own that refers to workloads, or to none."""

    class Tag(Model):
        workload = ForeignKeyField(Workload, null=True, backref="tags")
        name = TextField()

        class Meta:
            database = store.database

    store.database.create_tables([Tag])
    yield Tag
    store.database.drop_tables([Tag])
    # Peewee remembers who refers to a model for as long as the process lives.
    del Workload._meta.backrefs[Tag.workload]
    del Workload._meta.model_backrefs[Tag]
    del Workload.tags


def test_a_reference_to_a_workload_may_be_absent(tag):
    made = make_workload()

    tag.create(workload=made, name="its")
    tag.create(workload=None, name="nobody's")
    tag.update(workload=None).where(tag.name == "its").execute()

    assert [row.workload_id for row in tag.select()] == [None, None]


def test_a_purge_passes_over_what_another_table_refers_to(tag):
    for workload_id in "abcdefghij":
        made = make_workload(id=workload_id, status="completed", created_at=LONG_AGO, finished_at=LONG_AGO)
        append_log_lines(made.id, ["kept with it"])
    tag.create(workload="c", name="kept")
    tag.create(workload="j", name="kept")

    purged = purge_workloads(LATER)

    assert purged == 8
    assert sorted(workload.id for workload in Workload.select()) == ["c", "j"]
    assert [line.line for line in list_log_lines("c")] == ["kept with it"]
    assert purge_workloads(LATER) == 0


def test_a_unique_index_of_somebody_elses_is_not_taken_for_the_id(store):
    store.database.execute_sql("CREATE UNIQUE INDEX one_hash ON workloads (input_hash) WHERE input_hash <> ''")
    make_workload(id="a", input_hash="h")

    for write in (
        lambda: create_workload(id="b", runtime="go", input_hash="h"),
        lambda: create_workloads([{"id": "b", "runtime": "go", "input_hash": "h"}]),
    ):
        with pytest.raises(StoreUnavailableError) as refusal:
            write()

        assert not isinstance(refusal.value, WorkloadExistsError)
        assert "unique" in refusal.value.reason.lower()
        assert "input_hash" in refusal.value.reason or "one_hash" in refusal.value.reason
    assert [workload.id for workload in list_workloads().items] == ["a"]
    with pytest.raises(WorkloadExistsError):
        create_workload(id="a", runtime="go")
    with pytest.raises(IntegrityError):
        create_workloads([{"id": "a", "runtime": "go"}])
