"""A row belongs to the store that it was read from, by whichever way; a new one goes to the current store."""

import copy
import pickle

import peewee
import pytest
from cases import each, empty

from vulcan_store import (
    InvalidWorkloadError,
    LogLine,
    StoreUnavailableError,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
)


class Job(Workload):
    """A subclass of a user's own."""

    class Meta:
        table_name = "workloads"


class Task(Job):
    """A subclass of that."""

    class Meta:
        table_name = "workloads"


@pytest.fixture
def archive(store, tmp_path):
    """A second store, with a workload `a` that has a line; the current store has both ids too."""
    with open_store(tmp_path / "archive.db", current=False) as archive:
        fill(store, archive)
        yield archive


def fill(store, archive):
    for where, line in ((archive, "there"), (store, "here")):
        empty(where)
        where.create_workload(id="a", runtime="go", node_id=where.target)
        where.append_log_lines("a", [line])


def joined(archive):
    return LogLine.select(LogLine, Workload).join(Workload).bind(archive.database).get()


LINES = {
    "list_log_lines": lambda archive: archive.list_log_lines("a")[0],
    "a query that is bound": lambda archive: LogLine.select().bind(archive.database).get(),
    "a join": joined,
    "a join into an attribute": lambda archive: (
        Workload.select(Workload, LogLine).join(LogLine, attr="newest").bind(archive.database).get().newest
    ),
    "raw SQL": lambda archive: LogLine.raw("SELECT * FROM log_lines").bind(archive.database).execute()[0],
    "a relation": lambda archive: archive.get_workload("a").log_lines.get(),
}
WORKLOADS = {
    "get_workload": lambda archive: archive.get_workload("a"),
    "iter_workloads": lambda archive: next(archive.iter_workloads()),
    "claim_workload": lambda archive: archive.claim_workload(archive.target),
    "a query that is bound": lambda archive: Workload.select().bind(archive.database).get(),
    "a join": lambda archive: joined(archive).workload,
    "a relation": lambda archive: archive.list_log_lines("a")[0].workload,
    "an alias": lambda archive: Workload.alias().select().bind(archive.database).get(),
    "a union": lambda archive: (Workload.select() | Workload.alias().select()).bind(archive.database)[0],
    "a subclass": lambda archive: Job.select().bind(archive.database).get(),
    "RETURNING": lambda archive: Workload.update(exit_code=1).returning(Workload).bind(archive.database).execute()[0],
    "a copy": lambda archive: copy.copy(archive.get_workload("a")),
    "a deep copy": lambda archive: copy.deepcopy(archive.get_workload("a")),
}


@each("read", LINES)
def test_a_line_is_saved_and_deleted_where_it_was_read(store, archive, read):
    fill(store, archive)
    line = read(archive)

    assert (line.line, line.workload.node_id) == ("there", archive.target)
    line.line = "changed"
    assert line.save() == 1
    assert archive.list_log_lines("a")[0].line == "changed"
    assert line.delete_instance() == 1
    assert (archive.list_log_lines("a"), store.list_log_lines("a")[0].line) == ([], "here")


@each("read", WORKLOADS)
def test_a_workload_is_saved_and_deleted_where_it_was_read(store, archive, read):
    fill(store, archive)
    workload = read(archive)

    assert [line.line for line in workload.log_lines] == ["there"]
    workload.exit_code = 5
    assert workload.save() == 1
    assert (archive.get_workload("a").exit_code, store.get_workload("a").exit_code) == (5, None)
    for line in workload.log_lines:
        line.delete_instance()
    assert workload.delete_instance() == 1
    assert (archive.list_workloads().total, store.list_workloads().total) == (0, 1)
    assert workload.save(force_insert=True) == 1
    assert (archive.list_workloads().total, store.list_workloads().total) == (1, 1)


def test_a_query_that_is_bound_elsewhere_stays_there_while_a_row_is_saved(store, archive):
    found = set()
    line = archive.list_log_lines("a")[0]
    archive.database.query_hooks.append(lambda *_: found.add(LogLine.select().bind(store.database).get().line))

    line.line = "changed"
    line.save()
    assert found == {"here"}


def test_a_workload_is_deleted_with_its_log_in_its_own_store_alone(store, archive):
    with pytest.raises(peewee.IntegrityError):
        archive.get_workload("a").delete_instance()

    assert archive.get_workload("a").delete_instance(recursive=True) == 1
    assert (archive.list_workloads().total, LogLine.select().bind(archive.database).count()) == (0, 0)
    assert (store.list_workloads().total, len(store.list_log_lines("a"))) == (1, 1)


def test_what_refers_to_a_workload_and_is_bound_elsewhere_is_deleted_there(archive, tmp_path):
    elsewhere = peewee.SqliteDatabase(tmp_path / "elsewhere.db")

    class Tag(peewee.Model):
        workload = peewee.ForeignKeyField(Workload)

        class Meta:
            database = elsewhere

    try:
        elsewhere.create_tables([Tag], safe=True)
        for key in ("a", "b"):
            Tag.insert(workload=key).execute()

        assert archive.get_workload("a").delete_instance(recursive=True) == 1
        assert [tag.workload_id for tag in Tag.select()] == ["b"]
    finally:
        Tag._meta.remove_ref(Tag.workload)
        elsewhere.close()


def test_a_workload_is_saved_where_it_was_created(store, archive):
    for made in (archive.create_workload(runtime="go"), archive.create_workload(Workload(runtime="go"))):
        assert not made.is_dirty()
        made.node_id = "n"

        assert made.save() == 1
        assert (archive.get_workload(made.id).node_id, store.list_workloads().total) == ("n", 1)


def test_a_workload_of_a_store_that_was_closed_is_not_saved_elsewhere(store, archive):
    workload = archive.get_workload("a")
    archive.close()

    workload.exit_code = 5

    with pytest.raises(StoreUnavailableError, match="closed"):
        workload.save()
    assert get_workload("a").exit_code is None


def test_what_is_new_and_what_was_pickled_goes_to_the_current_store(store, archive):
    sent = pickle.loads(pickle.dumps(archive.get_workload("a")))
    assert sent.__data__ == archive.get_workload("a").__data__
    sent.exit_code = 5
    assert sent.save() == 1
    LogLine(workload="a", seq=1, line="new").save()
    Workload(id="b", runtime="go").save()

    assert (archive.get_workload("a").exit_code, store.get_workload("a").exit_code) == (None, 5)
    assert [line.line for line in store.list_log_lines("a")] == ["here", "new"]
    assert (archive.list_workloads().total, store.list_workloads().total) == (1, 2)


def test_a_copy_and_the_original_are_the_same_workload_to_save_and_a_deep_copy_is_another(store):
    made = create_workload(id="a", runtime="go")
    twin = copy.copy(made)

    copy.deepcopy(made).node_id = "m"
    assert (made.node_id, made.save()) == ("", 0)
    twin.node_id = "n"

    assert made.save() == 1
    assert get_workload("a").node_id == "n"


def test_subclasses_of_the_models_follow_the_current_store(store, tmp_path):
    with open_store(tmp_path / "other.db") as other:
        Job.create(id="there", runtime="go")
        assert [Job.get().id, Task.get().id] == ["there", "there"]
        assert Task.get().delete_instance() == 1
        assert other.list_workloads().total == 0
        Task.create(id="there", runtime="go")

    assert (Job.select().count(), Task.select().count()) == (0, 0)


class Order(Workload):
    """A subclass with a table and a column of its own."""

    customer = peewee.TextField(default="")


def test_a_subclass_may_have_a_table_of_its_own(store):
    store.database.create_tables([Order])
    create_workload(id="a", runtime="go")
    Order.create(id="a", runtime="wasm")
    order = Order.get_by_id("a")
    order.exit_code, order.customer = 9, "c"

    assert order.save() == 1
    Order.insert(runtime="oci").execute()

    assert sorted((order.runtime, order.exit_code, order.customer) for order in Order.select()) == [
        ("oci", None, ""), ("wasm", 9, "c")
    ]
    assert (get_workload("a").exit_code, list_workloads().total) == (None, 1)
    order.exit_code = "x"
    with pytest.raises(InvalidWorkloadError, match="exit_code is 'x'"):
        order.save()


def test_a_model_that_is_bound_elsewhere_stays_there_and_no_function_follows(store, archive):
    with Workload.bind_ctx(archive.database):
        Workload.create(id="b", runtime="go")
        create_workload(id="c", runtime="go")
        with open_store(":memory:"):
            assert {workload.id for workload in Workload.select()} == {"a", "b"}
            create_workload(id="in memory", runtime="go")
            assert list_workloads().total == 1

    assert {workload.id for workload in Workload.select()} == {"a", "c"}
