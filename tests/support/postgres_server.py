"""PostgreSQL servers of the tests' own, in temporary folders: one alone, a standby beside it, PgBouncer before it."""

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import pytest

PASSWORD = "s3cret-w0rd"
PATIENCE = 30
"""Seconds after which a server that has not answered is given up."""


class Unavailable(Exception):
    """There is no server to test with; says why."""


class Program:
    """What a server of the tests' own has: a folder, a port of loopback, and a user that may run it."""

    def __init__(self):
        # As root the servers refuse to run, and their user has to reach the folder.
        self.user = "postgres" if os.getuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="vulcan-postgres-"))
        if self.user is not None:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        self.port = free_port()

    def url(self, database="postgres", user="vulcan", password=PASSWORD):
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, program, *arguments):
        done = subprocess.run(
            [program, *map(str, arguments)],
            user=self.user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise Unavailable(f"{program} failed: {done.stderr.strip()}")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path


class PostgresServer(Program):
    """A server on a free port, in a time zone other than UTC, that asks for a password.

    It does not wait for the disk, unless it is to be durable.
    """

    def __init__(self, durable=False):
        self.programs = _programs()
        super().__init__()
        self.settings = "" if durable else "-c fsync=off"
        self.data = self.folder / "data"
        try:
            self.make_data()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def make_data(self):
        password = self.write("password", PASSWORD)
        initdb = self.programs / "initdb"
        self.run(initdb, "-D", self.data, "-U", "vulcan", "-A", "scram-sha-256", f"--pwfile={password}", "-N")

    def start(self):
        # A server that is killed would leave shared memory behind that is not a file of its folder.
        own = "-c timezone=Asia/Kolkata -c dynamic_shared_memory_type=mmap"
        settings = f"-p {self.port} -k {self.folder} -h 127.0.0.1 {own} {self.settings}"
        self.control("-l", self.folder / "log", "-o", settings, "start")

    def stop(self):
        self.control("-m", "immediate", "stop")

    def kill(self):
        """End the server at once, as a machine does that loses its power."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in [pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def control(self, *arguments):
        self.run(self.programs / "pg_ctl", "-D", self.data, "-w", *arguments)

    def remove(self):
        with contextlib.suppress(Unavailable):  # it was killed
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Standby(PostgresServer):
    """A server that follows another, which from then on acknowledges nothing that this one has not."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__()
        execute(primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        waited = time.monotonic() + PATIENCE
        while execute(primary.url(), "SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
            if time.monotonic() > waited:
                raise Unavailable("the standby does not follow its primary")

    def make_data(self):
        self.run(self.programs / "pg_basebackup", "-d", self.primary.url(), "-D", self.data, "-R", "-X", "stream",
                 "-c", "fast", "-N")  # fmt: skip

    def promote(self):
        self.control("promote")


class PgBouncer(Program):
    """A pooler before a server, set up as Debian ships it but for its mode and where it is."""

    def __init__(self, server, mode):
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Unavailable("PgBouncer is not installed")
        super().__init__()
        # In transaction mode fewer than its clients, so that they do share them.
        connections = 3 if mode == "transaction" else 20
        users = self.write("users", f'"vulcan" "{PASSWORD}"\n')
        self.settings = self.write(
            "pgbouncer.ini",
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}\n"
            f"default_pool_size = {connections}\n"
            f"logfile = {self.folder / 'log'}\npidfile = {self.folder / 'pid'}\n",
        )
        self.program = program
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-q", str(self.settings)], user=self.user, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for_port(self.port)

    def stop(self):
        self.process.kill()
        self.process.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def started(make, *arguments):
    """A server, or else the test is skipped: with one reason at one place, so that a run shows one line."""
    try:
        return make(*arguments)
    except Unavailable as reason:
        if os.environ.get("VULCAN_TEST_POSTGRES") == "required":
            raise
        pytest.skip(f"not run on PostgreSQL: {reason}")


def free_port():
    """A port of loopback that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_port(port):
    """Return once somebody listens at a port."""
    waited = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > waited:
                raise Unavailable("PgBouncer does not start") from None


def execute(url, *statements):
    """Run statements through plain psycopg, each in a transaction of its own; the rows of the last one."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def fresh_schema(url):
    """A URL whose tables are apart from those of every other."""
    schema = f"test_{secrets.token_hex(8)}"
    execute(url, f"CREATE SCHEMA {schema}")
    yield f"{url}{'&' if '?' in url else '?'}options={quote(f'-c search_path={schema}')}"
    execute(url, f"DROP SCHEMA {schema} CASCADE")


def _programs():
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise Unavailable("psycopg is not installed; the extra `postgres` has it") from None
    found = [str(Path(program).parent) for program in sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(str(Path(on_path).resolve().parent))
    if not found:
        raise Unavailable("no PostgreSQL server is installed, and $VULCAN_TEST_POSTGRES_URL names none")
    return Path(found[-1])
