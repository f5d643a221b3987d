"""What an expression stores is checked as far as its constants go, and nothing that was given is thrown away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from peewee import EXCLUDED, SQL, Case, Value, fn

from vulcan_store import InvalidWorkloadError, Workload, get_workload
from vulcan_store.testing import make_workload


def stored():
    return sorted(Workload.select().tuples())


BOGUS = {
    "Case": lambda: Case(None, [(Workload.status == "pending", "bogus")], "killed"),
    "Case, otherwise": lambda: Case(Workload.status, [("running", "killed")], "bogus"),
    "Case in a Case": lambda: Case(None, [(Workload.id == "a", Case(None, [(Workload.id == "b", "bogus")]))]),
    "Value": lambda: Value("bogus"),
    "COALESCE": lambda: fn.COALESCE(SQL("NULL"), "bogus"),
}


@pytest.mark.parametrize("form", BOGUS)
def test_a_constant_in_an_expression_is_checked_like_any_other_value(store, form):
    make_workload(id="a")
    before = stored()

    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.update(status=BOGUS[form]()).execute()

    assert (refusal.value.field, refusal.value.value) == ("status", "bogus")
    assert stored() == before


@pytest.mark.parametrize("form", BOGUS)
def test_a_constant_in_an_inserted_expression_is_checked_too(store, form):
    for insert in (
        lambda: Workload.insert({Workload.runtime: "go", Workload.status: BOGUS[form]()}),
        lambda: Workload.insert_many([{"runtime": "go", "status": BOGUS[form]()}]),
        lambda: Workload.insert_many([("go", BOGUS[form]())], [Workload.runtime, Workload.status]),
        lambda: Workload.replace(runtime="go", status=BOGUS[form]()),
    ):
        with pytest.raises(InvalidWorkloadError) as refusal:
            insert().execute()

        assert refusal.value.field == "status"
    assert stored() == []


def test_a_condition_of_an_expression_is_only_compared(store):
    make_workload(id="a")

    Workload.update(status=Case(None, [(Workload.status == "paused", "killed")], "running")).execute()

    assert get_workload("a").status == "running"


def test_expressions_of_what_fits_are_stored(store):
    make_workload(id="a", mem_limit=512, exit_code=1)

    Workload.update(
        mem_limit=Workload.mem_limit - 100, node_id=Value("n"), exit_code=Case(None, [(Workload.id == "a", -9)], None),
        error=fn.COALESCE(Workload.error, "none"),
    ).execute()

    row = get_workload("a")
    assert (row.mem_limit, row.node_id, row.exit_code, row.error) == (412, "n", -9, "")


@pytest.mark.parametrize("update", [{"status": "bogus"}, {"mem_limit": -5}, {Workload.status: Value("bogus")}])
def test_an_upsert_checks_what_it_updates(store, update):
    make_workload(id="a")
    before = stored()

    with pytest.raises(InvalidWorkloadError):
        insert = Workload.insert(id="a", runtime="go")
        insert.on_conflict(conflict_target=[Workload.id], update=update).execute()

    assert stored() == before


def test_an_upsert_leaves_no_null_where_the_server_cannot_scan_it(store):
    make_workload(id="a", error="e", input_hash="h")

    Workload.insert(id="a", runtime="go").on_conflict(
        conflict_target=[Workload.id],
        update={Workload.error: fn.NULLIF(EXCLUDED.error, ""), Workload.input_hash: SQL("NULL")},
    ).execute()

    nulls = SQL("error IS NULL OR input_hash IS NULL")
    assert Workload.select().where(nulls).count() == 0
    assert (get_workload("a").error, get_workload("a").input_hash) == ("", "")


def test_a_key_that_the_first_row_lacks_is_refused_instead_of_dropped(store):
    rows = [{"id": "a", "runtime": "go"}, {"id": "b", "runtime": "go", "mem_limit": 512}]

    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.insert_many(rows).execute()

    error = refusal.value
    assert (error.field, error.value, error.position) == ("mem_limit", 512, 1)
    assert stored() == []


def test_a_key_that_is_not_among_the_fields_is_refused_instead_of_dropped(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.insert_many([{"runtime": "go", "mem_limit": 512}], [Workload.runtime]).execute()

    assert (refusal.value.field, refusal.value.position) == ("mem_limit", 0)
    assert stored() == []


def test_a_tuple_with_more_values_than_columns_is_refused_instead_of_cut(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.insert_many([("go",), ("go", 512)], [Workload.runtime]).execute()

    assert refusal.value.position == 1
    assert stored() == []


def test_rows_whose_further_keys_have_defaults_are_all_stored(store):
    rows = [{"id": "a", "runtime": "go"}, {"id": "b", "runtime": "go", "node_id": "n", Workload.error: "e"}]

    Workload.insert_many(rows).execute()

    assert (get_workload("b").node_id, get_workload("b").error) == ("n", "e")


def test_a_time_in_a_case_is_stored_as_the_instant_that_it_is(store):
    make_workload(id="a")
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    in_berlin = noon.astimezone(timezone(timedelta(hours=2)))

    Workload.update(finished_at=Case(None, [(Workload.id == "a", in_berlin)], Workload.started_at)).execute()

    assert get_workload("a").finished_at == noon
    assert Workload.select().where(Workload.finished_at == noon).count() == 1
