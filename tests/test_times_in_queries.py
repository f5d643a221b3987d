"""A datetime anywhere in a query of one's own is the instant that it is."""

from datetime import timedelta

import pytest
from cases import each
from peewee import Case, DateTimeField, Model, Tuple, Value, fn
from values import BERLIN, NAIVE
from workloads import NOON

from vulcan_store import InvalidWorkloadError, Workload, open_store
from vulcan_store.testing import make_workload

NOON_IN_BERLIN = NOON.astimezone(BERLIN)
BEFORE_NOON = NOON_IN_BERLIN - timedelta(hours=1)  # 11:00 in UTC, though its text, 13:00, is above that of noon


def through_cte(moment):
    cte = Workload.select(Workload.id, Workload.created_at.alias("t")).cte("c")
    query = Workload.select(Workload.id).join(cte, on=(cte.c.id == Workload.id)).with_cte(cte)
    return query.where(cte.c.t <= moment)


def through_alias(moment):
    other = Workload.alias()
    return other.select(other.id).where(fn.COALESCE(other.started_at, other.created_at) <= moment)


EVERYWHERE = {
    "beside the column": lambda moment: Workload.select().where(Workload.created_at <= moment),
    "a column of a CTE": through_cte,
    "a model alias": through_alias,
    "HAVING MAX": lambda moment: Workload.select(Workload.runtime).group_by(Workload.runtime).having(
        fn.MAX(Workload.created_at) <= moment
    ),
    "in a Case": lambda moment: Workload.select().where(
        Workload.created_at <= Case(None, [(Workload.status == "pending", moment)], moment)
    ),
    "a Value": lambda moment: Workload.select().where(Workload.created_at <= Value(moment)),
    "in a tuple": lambda moment: Workload.select().where(
        Tuple(Workload.created_at, Workload.id) <= Tuple(Value(moment), "z")
    ),
    "BETWEEN": lambda moment: Workload.select().where(Workload.created_at.between(NOON - timedelta(days=1), moment)),
    "selected before anything else": lambda moment: Workload.select(Value(moment), Workload.id).where(
        fn.COALESCE(Workload.started_at, Workload.created_at) <= moment
    ),
}


@each("place", EVERYWHERE)
def test_a_time_is_compared_as_an_instant_wherever_it_stands(store, place):
    make_workload(created_at=NOON)

    found = [len(list(place(moment).tuples())) for moment in (NOON, NOON_IN_BERLIN, BEFORE_NOON)]

    assert found == [1, 1, 0]
    Workload.update(finished_at=fn.COALESCE(Workload.finished_at, NOON_IN_BERLIN)).execute()
    assert [workload.finished_at for workload in Workload.select().where(Workload.finished_at == NOON)] == [NOON]


@each("place", ["beside the column", "a Value", "BETWEEN", "in a Case"])
def test_a_time_without_a_zone_is_refused_beside_a_column_of_times(store, place):
    with pytest.raises(InvalidWorkloadError) as refusal:
        list(EVERYWHERE[place](NAIVE))

    assert refusal.value.value == NAIVE
    assert "aware datetime" in str(refusal.value)


def test_a_time_without_a_zone_is_left_as_it_is_inside_a_function(path):
    with open_store(path):
        make_workload(created_at=NOON)

        found = Workload.select(fn.COALESCE(None, NAIVE)).scalar()

    assert found == NAIVE.isoformat(" ")


@each("query", [
    lambda moment: Workload.raw("SELECT * FROM workloads WHERE created_at <= ?", moment),
    lambda moment: Workload.select().where(fn.MIN(Workload.created_at, moment) == Workload.created_at),
])
def test_a_time_is_an_instant_in_what_only_sqlite_understands(file_store, query):
    make_workload(created_at=NOON)

    assert [len(list(query(moment))) for moment in (NOON_IN_BERLIN, BEFORE_NOON)] == [1, 0]


def test_a_time_is_an_instant_as_a_parameter_of_a_name(file_store):
    make_workload(created_at=NOON)
    count = "SELECT COUNT(*) FROM workloads WHERE created_at <= :moment"

    found = [file_store.database.execute_sql(count, {"moment": at}).fetchone() for at in (NOON_IN_BERLIN, BEFORE_NOON)]

    assert found == [(1,), (0,)]


def test_a_table_of_ones_own_keeps_its_own_times(path):
    class Meeting(Model):
        begins = DateTimeField()

    with open_store(path) as store, store.database.bind_ctx([Meeting]):
        store.database.create_tables([Meeting])
        Meeting.create(begins=NAIVE)

        found = Meeting.select().where(fn.MAX(Meeting.begins, NAIVE) == Meeting.begins, Meeting.begins == NAIVE)

        assert [meeting.begins for meeting in found] == [NAIVE]
