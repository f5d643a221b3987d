"""URLs of a server: in every form that libpq takes, and never with a password in what is shown."""

import os
import pickle
from urllib.parse import quote, urlsplit

import pytest
from postgres_server import PASSWORD, execute, free_port

from vulcan_store import StoreUnavailableError, create_workload, open_store

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed; the extra `postgres` has it")


@pytest.fixture
def environment(monkeypatch, postgres):
    """The server's address in the environment alone; sets further variables."""
    url = urlsplit(postgres)
    if url.password != PASSWORD:
        pytest.skip("for a server whose address is known")
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    given = {"HOST": url.hostname, "PORT": url.port, "USER": url.username, "PASSWORD": PASSWORD, "DATABASE": "postgres"}

    def set_(**variables):
        for name, value in {**given, **variables}.items():
            monkeypatch.setenv(f"PG{name}", str(value))

    set_()
    return set_


def tables_of(url, schema):
    return execute(url, f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'")[0][0]


def schema_of(target):
    return target.rpartition("%3D")[2]


def test_a_bare_url_takes_everything_from_the_environment_its_options_included(postgres, postgres_target, environment):
    environment(OPTIONS=f"-c search_path={schema_of(postgres_target)}")

    with open_store("postgresql://") as store:
        create_workload(runtime="go")

        assert store.target == "postgresql://"
    assert tables_of(postgres, schema_of(postgres_target)) == 2


def test_a_service_file_names_the_server_and_its_options(postgres, postgres_target, environment, tmp_path, monkeypatch):
    url = urlsplit(postgres)
    environment(SERVICEFILE=tmp_path / "services")
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name)
    (tmp_path / "services").write_text(
        f"[mine]\nhost={url.hostname}\nport={url.port}\nuser={url.username}\ndbname=postgres\n"
        f"options=-c search_path={schema_of(postgres_target)}\n"
    )

    open_store("postgresql:///?service=mine").close()

    assert tables_of(postgres, schema_of(postgres_target)) == 2


def test_a_password_file_is_read(postgres_target, environment, tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "passwords").write_text(f"*:*:*:*:{PASSWORD}\n")
    (tmp_path / "passwords").chmod(0o600)
    url = postgres_target.replace(f":{PASSWORD}", "")

    open_store(f"{url}&passfile={quote(str(tmp_path / 'passwords'), safe='')}").close()


def test_a_folder_of_sockets_is_a_host(postgres_target, postgres):
    ((folder,),) = execute(postgres, "SHOW unix_socket_directories")
    if not os.access(f"{folder}/.s.PGSQL.{urlsplit(postgres).port}", os.R_OK):
        pytest.skip("the server is on another machine")
    url = urlsplit(postgres_target)
    place = f"{url.username}:{url.password}@{quote(folder, safe='')}:{url.port}"

    with open_store(f"postgres://{place}/postgres?{url.query}") as store:
        assert store.target == f"postgres://{url.username}@{quote(folder, safe='')}:{url.port}/postgres?{url.query}"


def test_of_several_hosts_the_one_that_answers_is_taken(postgres_target):
    hosts = f"@127.0.0.1:{free_port()},"

    capitals = postgres_target.replace("postgresql:", "PostgreSQL:")
    with open_store(capitals.replace("@", hosts) + "&target_session_attrs=read-write") as store:
        assert f"vulcan{hosts}127.0.0.1" in store.target and PASSWORD not in store.target


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace(PASSWORD, "wr0ng-w0rd"), "password authentication failed"),
        (lambda url: url.replace("/postgres", "/nowhere"), '"nowhere" does not exist'),
        (lambda url: url.replace(f":{urlsplit(url).port}", ":1"), "refused"),
        (lambda url: url.replace("/postgres", "/"), '"vulcan" does not exist'),
        (lambda url: url.replace("/postgres", ""), '"vulcan" does not exist'),
    ],
    ids=["password", "database", "port", "no name", "no path"],
)
def test_a_server_that_cannot_be_reached_says_why_and_never_its_password(postgres, change, said):
    if os.environ.get("VULCAN_TEST_POSTGRES_URL"):
        pytest.skip("for a server whose password is known")
    url = change(postgres)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(url)

    assert said in str(refusal.value)
    shown = f"{refusal.value!r} {refusal.value} {refusal.value.__cause__!r}"
    assert PASSWORD not in shown and "wr0ng" not in shown
    assert pickle.loads(pickle.dumps(refusal.value)).reason == refusal.value.reason


def test_neither_an_open_store_nor_what_is_logged_shows_a_password(postgres_target, caplog):
    caplog.set_level("DEBUG")
    with open_store(postgres_target) as remote:
        create_workload(runtime="go")
        shown = f"{remote!r} {remote.target} {remote.database!r} {remote.database.target} {caplog.text}"

    assert "postgresql://" in shown and "INSERT INTO" in shown and PASSWORD not in shown


@pytest.mark.parametrize(("place", "shown"), [
    ("user:s3cret@127.0.0.1:{}/db?sslmode=disable", "user@127.0.0.1:{}/db?sslmode=disable"),
    ("user@[::1]:{}/db?password=s3cret&sslmode=disable&pool_size=2", "user@[::1]:{}/db?sslmode=disable&pool_size=2"),
    ("127.0.0.1:{},[::1]:{}/db?user=u&sslpassword=s3cret", "127.0.0.1:{},[::1]:{}/db?user=u"),
    ("127.0.0.1:{}/?user=u&pass%77ord=s3cret", "127.0.0.1:{}/?user=u"),
    ("/db?host=127.0.0.1&port={}&user=u", "/db?host=127.0.0.1&port={}&user=u"),
])
def test_a_url_is_shown_without_its_passwords(place, shown):
    port = free_port()

    with pytest.raises(StoreUnavailableError, match="refused|assign") as refusal:
        open_store("postgresql://" + place.replace("{}", str(port)))

    assert refusal.value.target == "postgresql://" + shown.replace("{}", str(port))
    assert_hidden(refusal.value, "s3cret")


@pytest.mark.parametrize("place", [
    "user:p@ss/w#rd?@127.0.0.1:1/db", "user:p@ssw0rd@127.0.0.1:1/db", "user:pass/w0rd@127.0.0.1:1/db",
    "user:pass?w0rd@127.0.0.1:1/db", "user:pass#w0rd@127.0.0.1:1/db", "user:pass%w0rd@127.0.0.1:1/db",
    "user:passw0rd@[127.0.0.1:1/db", "user:passw0rd@127.0.0.1:port/db", "127.0.0.1:1/db?user=u&password=p@ssw0rd",
    "user:pass%00w0rd@127.0.0.1:1/db", "user:passw0rd",
])
def test_a_url_that_may_show_a_piece_of_a_password_is_shown_as_its_scheme_alone(place, monkeypatch):
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: pytest.fail("libpq was asked"))

    with pytest.raises(StoreUnavailableError, match="%40 %23 %25") as refusal:
        open_store(f"postgresql://{place}")

    assert refusal.value.target == "postgresql://..."
    assert_hidden(refusal.value, "w0rd", "w#rd", "p@ss")


def test_what_libpq_would_repeat_is_not_shown():
    with pytest.raises(StoreUnavailableError, match="cannot be read") as refusal:
        open_store(f"postgresql://user:{PASSWORD}@[]:1/db")

    assert_hidden(refusal.value, PASSWORD)


@pytest.mark.parametrize(("query", "said"), [
    ("colour=red", 'invalid URI query parameter: "colour"'),
    ("sslmode=bogus", 'invalid sslmode value: "bogus"'),
    ("service=nowhere", "nowhere"),
    ("connect_timeout=soon", "connect_timeout"),
    ("pool_size=0", "?pool_size=0 in its URL must be a number from 1"),
    ("pool_size=many", "?pool_size=many in its URL must be a number from 1"),
    ("pool_timeout=-1", "?pool_timeout=-1 in its URL must be a number from 0"),
    ("pool_timeout=nan", "?pool_timeout=nan in its URL must be a number from 0"),
    ("lock_timeout=5s", "?lock_timeout=5s in its URL must be a number from 0"),
    ("prepare_threshold=x", "?prepare_threshold=x in its URL must be a number from 0"),
])
def test_a_parameter_that_cannot_be_is_named(query, said):
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(f"postgresql://user:{PASSWORD}@127.0.0.1:{free_port()}/db?{query}")

    assert said in refusal.value.reason
    assert_hidden(refusal.value, PASSWORD)


def assert_hidden(error, *secrets):
    causes, shown = error, ""
    while causes is not None:
        shown, causes = f"{shown} {causes!r} {causes}", causes.__cause__ or causes.__context__
    shown += str(pickle.loads(pickle.dumps(error)))
    assert not [secret for secret in secrets if secret in shown]
