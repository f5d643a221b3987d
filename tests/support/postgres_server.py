"""A PostgreSQL server of the tests' own, in a temporary folder, or the one of $VULCAN_TEST_POSTGRES_URL."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

PASSWORD = "s3cret-w0rd"


class Unavailable(Exception):
    """There is no server to test with; says why."""


class PostgresServer:
    """A server on a free port, in a time zone other than UTC, that asks for a password.

    It does not wait for the disk, unless it is to be durable.
    """

    def __init__(self, durable=False):
        self.settings = "" if durable else "-c fsync=off"
        self.programs = _programs()
        # As root the server refuses to run, and its user has to reach the folder.
        self.user = "postgres" if os.getuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="vulcan-postgres-"))
        if self.user is not None:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        self.data = self.folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", "vulcan", "-A", "scram-sha-256", f"--pwfile={password}", "-N")
        self.start()

    def start(self):
        settings = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -c timezone=Asia/Kolkata {self.settings}"
        self._run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-o", settings, "start")

    def stop(self):
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="postgres"):
        return f"postgresql://vulcan:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self.programs / program, *map(str, arguments)],
            user=self.user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise Unavailable(f"{program} failed: {done.stderr.strip()}")


@contextlib.contextmanager
def fresh_schema(url):
    """A URL whose tables are apart from those of every other."""
    import psycopg

    schema = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{url}{'&' if '?' in url else '?'}options={quote(f'-c search_path={schema}')}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


def _programs():
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise Unavailable("psycopg is not installed; the extra `postgres` has it") from None
    found = [str(Path(program).parent) for program in sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(str(Path(on_path).parent))
    if not found:
        raise Unavailable("no PostgreSQL server is installed, and $VULCAN_TEST_POSTGRES_URL names none")
    return Path(found[-1])
