"""Ordinary roles: what one may not do is said, and nothing more is asked for than README.md says."""

import os
import secrets
from urllib.parse import quote, urlsplit

import pytest
from postgres_server import PASSWORD, execute

from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    append_log_lines,
    claim_workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    purge_workloads,
)
from vulcan_store.testing import make_workload


@pytest.fixture
def schema(postgres):
    """A schema that the server's own role has made, and nobody else may use."""
    name = f"test_{secrets.token_hex(8)}"
    execute(postgres, f"CREATE SCHEMA {name}")
    yield name
    execute(postgres, f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def role(postgres):
    """An ordinary role, without rights."""
    if os.environ.get("VULCAN_TEST_POSTGRES_URL"):
        pytest.skip("makes roles, so for a server of the tests' own")
    name = f"role_{secrets.token_hex(8)}"
    execute(postgres, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    yield name
    execute(postgres, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def grant(postgres, role):
    def grant(*rights):
        execute(postgres, *(f"GRANT {right} TO {role}" for right in rights))

    return grant


@pytest.fixture
def owner_url(postgres, schema):
    return f"{postgres}?options={quote(f'-c search_path={schema}')}"


@pytest.fixture
def role_url(owner_url, role):
    return owner_url.replace(f"//{urlsplit(owner_url).username}:", f"//{role}:")


def lacking(url, **how):
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(url, **how)
    return refusal.value.reason


def test_a_role_that_may_not_create_is_told_where_and_opens_the_store_once_it_may(
    postgres, role, role_url, schema, grant
):
    grant(f"USAGE ON SCHEMA {schema}")

    assert f"permission denied for schema {schema}" in lacking(role_url)

    grant(f"CREATE ON SCHEMA {schema}")
    with open_store(role_url):
        create_workload(runtime="go")


def test_a_role_that_may_not_use_the_schema_is_told_so(role_url, schema, grant):
    assert "may not use it" in lacking(role_url)

    grant(f"USAGE, CREATE ON SCHEMA {schema}")
    open_store(role_url).close()


def test_a_schema_that_does_not_exist_is_asked_for(postgres):
    assert "CREATE SCHEMA" in lacking(f"{postgres}?options={quote('-c search_path=nowhere')}")


def test_a_role_that_may_use_the_tables_needs_no_more(role, role_url, owner_url, schema, grant):
    open_store(owner_url).close()
    grant(
        f"USAGE ON SCHEMA {schema}",
        f"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}",
        f"USAGE ON ALL SEQUENCES IN SCHEMA {schema}",
    )

    with open_store(role_url):
        made = make_workload()
        append_log_lines(made.id, ["one"])
        claimed = claim_workload("node-1")
        Workload.update(status="killed", finished_at=claimed.started_at).where(Workload.id == made.id).execute()

        assert purge_workloads(claimed.started_at.replace(year=9999)) == 1
        assert (Workload.select().count(), LogLine.select().count()) == (0, 0)


def test_a_role_that_may_only_read_is_told_which_table_it_may_not_write(role_url, owner_url, schema, grant):
    with open_store(owner_url):
        made = make_workload()
    grant(f"USAGE ON SCHEMA {schema}", f"SELECT ON ALL TABLES IN SCHEMA {schema}")

    with open_store(role_url):
        assert get_workload(made.id) == made
        with pytest.raises(StoreUnavailableError, match="permission denied for table workloads"):
            create_workload(runtime="go")
        assert list_workloads().items == [made]


def test_a_role_that_may_not_read_the_tables_is_told_so_though_they_are_there(role_url, owner_url, schema, grant):
    open_store(owner_url).close()
    grant(f"USAGE, CREATE ON SCHEMA {schema}")

    for how in ({}, {"read_only": True}):
        with open_store(role_url, **how):
            with pytest.raises(StoreUnavailableError, match="permission denied for table workloads"):
                list_workloads()
