"""The web services of README.md, as pasted, in the frameworks themselves."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from readme import environment, needs, save

from vulcan_store import close_store, get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A fresh folder, to which the services' `open_store()` leads."""
    monkeypatch.setenv("VULCAN_DB_PATH", str(tmp_path / "vulcan.db"))
    return tmp_path


def imported(folder, name):
    save(folder, name)
    spec = importlib.util.spec_from_file_location("pasted", folder / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def flask_client(shop):
    needs("flask")
    client = imported(shop, "app.py").app.test_client()
    yield client
    close_store()


@pytest.fixture
def fastapi_client(shop, recwarn):
    needs("fastapi")
    from fastapi.testclient import TestClient

    with TestClient(imported(shop, "main.py").app) as client:
        yield client


@pytest.fixture(params=["flask_client", "fastapi_client"])
def client(request):
    return request.getfixturevalue(request.param)


def body(response):
    return response.json if not callable(response.json) else response.json()


def test_a_workload_is_submitted_shown_and_killed(client):
    submitted = client.post("/workloads", json={"runtime": "python"})
    workload_id = body(submitted)["id"]
    shown = client.get(f"/workloads/{workload_id}")
    killed = client.post(f"/workloads/{workload_id}/kill")

    assert (submitted.status_code, shown.status_code, killed.status_code) == (201, 200, 200)
    assert body(shown) == body(submitted)
    assert body(killed) == get_workload(workload_id).to_dict()


def test_the_result_comes_in_base64(client):
    made = make_workload(output=b"\x00\xff")

    assert body(client.get(f"/workloads/{made.id}"))["output"] == "AP8="


@pytest.mark.parametrize("method, path, json, status", [
    ("get", "/workloads/nobody", None, 404), ("post", "/workloads/nobody/kill", None, 404),
    ("post", "/workloads/done/kill", None, 409), ("post", "/workloads", {"runtime": "cobol"}, 422),
    ("post", "/workloads", {}, 422),
])
def test_an_error_has_the_status_of_its_kind_and_changes_nothing(client, method, path, json, status):
    make_workload(id="done", status="completed")

    response = getattr(client, method)(path, **({} if json is None else {"json": json}))

    assert response.status_code == status
    assert [(workload.id, workload.status) for workload in list_workloads().items] == [("done", "completed")]


def test_a_page_has_its_total(flask_client):
    for _ in range(3):
        make_workload()

    assert flask_client.get("/workloads?limit=2").json == {
        "total": 3, "items": [workload.to_dict() for workload in list_workloads(2).items],
    }


def test_the_store_is_open_as_long_as_the_service(shop):
    needs("fastapi")
    from fastapi.testclient import TestClient

    with TestClient(imported(shop, "main.py").app):
        assert list_workloads().total == 0

    assert sorted(path.name for path in shop.iterdir() if path.name.startswith("vulcan")) == ["vulcan.db"]


@pytest.mark.parametrize("options", [[], ["--preload"]])
def test_gunicorn_serves_it_from_forked_workers(shop, options):
    needs("gunicorn")
    needs("flask")
    save(shop, "app.py")
    gunicorn = Path(sys.executable).with_name("gunicorn")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        host, port = listening.getsockname()
        command = [gunicorn, "--workers", "2", "--threads", "4", *options, "--bind", f"fd://{listening.fileno()}"]
        pipes = {"pass_fds": [listening.fileno()], "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*command, "app:app"], cwd=shop, env=environment(), **pipes) as served:
            try:
                for _ in range(20):
                    request = urllib.request.Request(
                        f"http://{host}:{port}/workloads", b'{"runtime": "go"}', {"Content-Type": "application/json"}
                    )
                    assert urllib.request.urlopen(request, timeout=60).status == 201
            finally:
                served.terminate()
                complaints = served.stderr.read()

    assert "Traceback" not in complaints
    with open_store(shop / "vulcan.db"):
        assert list_workloads().total == 20
