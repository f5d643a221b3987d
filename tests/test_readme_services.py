"""The web services of README.md, as pasted, in the frameworks themselves."""

import importlib.util
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from readme import environment, needs, save

from vulcan_store import get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A fresh folder, to which the services' `open_store()` leads."""
    monkeypatch.setenv("VULCAN_DB_PATH", str(tmp_path / "vulcan.db"))
    return tmp_path


@pytest.fixture
def testclient(recwarn):
    """FastAPI's, which warns of what is to come."""
    needs("fastapi")
    return needs("fastapi.testclient").TestClient


@pytest.fixture(params=["app.py", "main.py"])
def client(request, shop):
    """Of the service in Flask or in FastAPI, which has the store open."""
    needs("flask")
    save(shop, request.param)
    spec = importlib.util.spec_from_file_location("pasted", shop / request.param)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.store:
        if request.param == "app.py":
            yield module.app.test_client()
        else:
            yield request.getfixturevalue("testclient")(module.app)


def body(response):
    return response.json() if callable(response.json) else response.json


def test_a_workload_is_submitted_and_shown(client):
    submitted = client.post("/workloads", json={"runtime": "python"})
    workload_id = body(submitted)["id"]
    shown = client.get(f"/workloads/{workload_id}")

    assert (submitted.status_code, shown.status_code) == (201, 200)
    assert body(shown) == body(submitted) == get_workload(workload_id).to_dict()


def test_the_result_comes_in_base64(client):
    made = make_workload(output=b"\x00\xff")

    assert body(client.get(f"/workloads/{made.id}"))["output"] == "AP8="


@pytest.mark.parametrize("method, path, options, status", [
    ("get", "/workloads/nobody", {}, 404), ("post", "/workloads", {"json": {"runtime": "cobol"}}, 422),
    ("post", "/workloads", {"json": {}}, 422),
])
def test_an_error_has_the_status_of_its_kind_and_changes_nothing(client, method, path, options, status):
    response = getattr(client, method)(path, **options)

    assert (response.status_code, list_workloads().total) == (status, 0)


def test_a_dependency_that_yields_a_store_of_its_own_moves_no_thread_to_it(shop, testclient):
    fastapi = needs("fastapi")
    app = fastapi.FastAPI()

    def archive():
        with open_store(shop / "archive.db", current=False) as store:
            yield store

    @app.post("/")
    def submit(archive=fastapi.Depends(archive)):
        archive.create_workload(runtime="go")
        return [list_workloads().total, archive.list_workloads().total]

    with open_store(), testclient(app) as client:
        answers = [client.post("/").json() for _ in range(3)]

    assert answers == [[0, 1], [0, 2], [0, 3]]


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
        command += ["--graceful-timeout", "2"]  # a worker that has only just been forked misses the signal to end
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
