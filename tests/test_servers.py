"""The embedded servers, the roles, and the clones the other tests stand on."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from accounts.management.commands.prepare_databases import prepare, script
from chicagocloud.embedded import OWNER, SUPERUSER
from tests import servers
from tests.servers import ALIASES, Stage, current_stage

DENIED = psycopg.errors.InsufficientPrivilege


def tcp_ports(pid: int) -> list[int]:
    found = []
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        # What has ended since it was listed listens on nothing.
        with suppress(psutil.NoSuchProcess):
            found += process.net_connections("inet")
    return [connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN]


@pytest.mark.usefixtures("committed")
def test_the_servers_listen_on_no_port():
    embedded = current_stage().servers

    for server in (embedded.data, embedded.keys, embedded.redis):
        assert server.process is not None
        assert tcp_ports(server.process.pid) == []


def test_a_listening_process_would_be_noticed():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        assert listener.getsockname()[1] in tcp_ports(psutil.Process().pid)


@pytest.mark.usefixtures("committed")
def test_socket_paths_are_short_and_private():
    embedded = current_stage().servers

    for folder in (embedded.data.sockets, embedded.keys.sockets, embedded.redis.sockets):
        assert len(str(folder / ".s.PGSQL.5432")) < 107
        assert folder.stat().st_mode & 0o077 == 0
        assert not folder.is_relative_to(embedded.state)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "DROP TABLE django_migrations",
        "TRUNCATE django_migrations",
        "SET session_replication_role = replica",
        f"SET ROLE {OWNER}",
        "ALTER ROLE portal_runtime SUPERUSER",
    ],
)
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.usefixtures("committed")
def test_the_runtime_role_can_neither_create_nor_rise(statement, alias):
    with servers.connect(alias) as runtime, pytest.raises(DENIED):
        runtime.execute(statement)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.usefixtures("committed")
def test_the_owner_can_create_but_is_no_superuser(alias):
    with servers.connect(alias, OWNER) as owner:
        owner.execute("CREATE TABLE mine (id int)")

        with pytest.raises(DENIED):
            owner.execute("CREATE ROLE mine")


@pytest.mark.usefixtures("committed")
def test_a_new_table_in_the_keys_database_can_be_read_and_added_to_only():
    with servers.connect("keys", OWNER) as owner:
        owner.execute("CREATE TABLE mine (id int)")

    with servers.connect("keys") as runtime:
        runtime.execute("INSERT INTO mine VALUES (1)")
        for statement in ("DELETE FROM mine", "UPDATE mine SET id = 2"):
            with pytest.raises(DENIED):
                runtime.execute(statement)
        assert runtime.execute("SELECT count(*) FROM mine").fetchone() == (1,)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.usefixtures("committed")
def test_preparing_again_changes_nothing(alias):
    stage = current_stage()
    rights = "SELECT datacl::text FROM pg_database WHERE datname = current_database()"
    roles = "SELECT array_agg(r ORDER BY rolname)::text FROM pg_roles r"
    with servers.connect(alias, OWNER) as owner:
        before = owner.execute(rights).fetchone(), owner.execute(roles).fetchone()

        prepare(alias, stage.clusters[alias].url(SUPERUSER, "postgres"), stage.names.of(alias), create=True)

        assert (owner.execute(rights).fetchone(), owner.execute(roles).fetchone()) == before


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.usefixtures("committed")
def test_the_printed_sql_prepares_a_database_too(alias):
    stage = current_stage()
    cluster = stage.clusters[alias]
    with stage.admin(alias) as admin:
        admin.execute(f"CREATE DATABASE by_hand OWNER {OWNER}")
    try:
        done = subprocess.run(
            [
                cluster.program.with_name("psql"),
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                cluster.url(SUPERUSER, "postgres"),
            ],
            input=script(alias, "by_hand"),
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        with psycopg.connect(cluster.url("portal_runtime", "by_hand"), autocommit=True) as runtime:
            for statement in ("CREATE TABLE mine (id int)", "CREATE TEMPORARY TABLE mine (id int)"):
                with pytest.raises(DENIED):
                    runtime.execute(statement)
    finally:
        with stage.admin(alias) as admin:
            admin.execute("DROP DATABASE by_hand WITH (FORCE)")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_begins_with_a_clone_of_its_own(committed, owner, turn):
    found = owner.execute("SELECT to_regclass('left_behind')").fetchone()

    owner.execute("CREATE TABLE left_behind (id int)")

    assert found == (None,)


@pytest.mark.crash
@pytest.mark.parametrize("how", ["kill", "stop_immediately"])
def test_what_was_committed_survives_a_killed_server(crash_servers: Stage, how):
    cluster = crash_servers.servers.data
    with servers.connect("default", OWNER) as owner:
        owner.execute("CREATE TABLE kept (id int)")
        for number in range(50):
            owner.execute("INSERT INTO kept VALUES (%s)", [number])

        getattr(cluster, how)()

    with pytest.raises(psycopg.OperationalError):
        servers.connect("default", OWNER)
    cluster.start()
    with servers.connect("default", OWNER) as owner:
        assert owner.execute("SELECT count(*) FROM kept").fetchone() == (50,)


@pytest.mark.crash
def test_the_superusers_connection_is_kept_until_its_server_is_killed(crash_servers: Stage):
    before = {alias: crash_servers.admin(alias) for alias in ALIASES}
    kept = {alias: crash_servers.admin(alias) for alias in ALIASES}

    crash_servers.servers.data.kill()
    crash_servers.servers.data.start()

    assert kept == before
    assert crash_servers.admin("keys") is before["keys"]
    assert crash_servers.admin("default") is not before["default"]
    assert crash_servers.admin("default").execute("SELECT 1").fetchone() == (1,)


@pytest.mark.crash
def test_redis_keeps_what_it_held_unless_it_is_emptied(crash_servers: Stage):
    embedded = crash_servers.servers.redis
    client = crash_servers.redis()
    client.set("bell", "rung")
    time.sleep(1.2)  # the append-only file is written every second

    embedded.kill()
    embedded.start()
    kept = client.get("bell")
    embedded.empty()
    embedded.start()

    assert kept == "rung"
    assert client.get("bell") is None
    client.close()


class Small(Stage):
    """A stage whose migrations are one table in each template; it counts how often it migrates and seals."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.migrated = self.sealed = 0

    def migrate(self) -> None:
        self.migrated += 1
        for alias in ALIASES:
            with psycopg.connect(self.url(alias, OWNER), autocommit=True) as owner:
                owner.execute(f"CREATE TABLE made AS SELECT '{alias}' AS word")

    def seal(self) -> None:
        self.sealed += 1


def words(stage: Stage) -> list[str]:
    """Return what the templates of a small stage say, as its clones have it."""
    found = []
    with stage.clone():
        for alias in ALIASES:
            with servers.connect(alias, OWNER) as owner:
                found += [row[0] for row in owner.execute("SELECT word FROM made")]
    return found


@pytest.fixture
def sharing(django_db_setup: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Small]]:
    """Two stages that share a folder of clusters, in which a copy was broken off before."""
    shared = Path(tempfile.mkdtemp(prefix="shared-", dir=servers.FOLDER))
    shared.chmod(0o711)  # the servers' user passes through
    (shared / "half" / "data").mkdir(parents=True)
    monkeypatch.setenv(servers.SHARED, str(shared))
    before = current_stage()
    names = before.names
    stages = [Small(shared / name) for name in ("first", "second")]
    yield stages
    for stage in stages:
        stage.stop()
    before.play(names)
    shutil.rmtree(shared)


def test_what_one_stage_has_prepared_the_next_one_takes_as_it_is(sharing, django_db_blocker):
    first, second = sharing
    with django_db_blocker.unblock():
        for stage in sharing:
            stage.prepare()

        assert (first.migrated, second.migrated, second.sealed) == (1, 0, 1)
        assert words(first) == words(second) == list(ALIASES)
        # Copies: neither stands on the other's files.
        assert first.servers.data.running_pid() != second.servers.data.running_pid()


def test_stages_that_share_nothing_each_prepare_their_own(sharing, django_db_blocker, monkeypatch):
    monkeypatch.delenv(servers.SHARED)
    with django_db_blocker.unblock():
        for stage in sharing:
            stage.prepare()

    assert [stage.migrated for stage in sharing] == [1, 1]


@pytest.fixture
def leftover() -> Iterator[Path]:
    """The folder of a suite that was killed: its process is gone."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    # Locked from its first moment on: another suite that starts meanwhile would sweep it away.
    folder = Path(tempfile.mkdtemp(prefix="ccp-test-", dir=servers.FOLDER.parent))
    with (folder / "pid").open("w") as pid:
        fcntl.flock(pid, fcntl.LOCK_EX)
        pid.write(str(gone.pid))
        pid.flush()
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def processes(leftover: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A process that plays on the leftover's servers, and one that plays elsewhere."""
    places = (leftover / "static", leftover.with_name("elsewhere") / "static")
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    started = [subprocess.Popen(sleep, env={**os.environ, "STATIC_ROOT": str(place)}) for place in places]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_what_a_killed_suite_left_is_stopped_and_removed_and_nothing_else(leftover, processes):
    left, other = processes

    servers.remove_leftover(leftover)

    assert left.wait(10) == -signal.SIGKILL
    assert other.poll() is None
    assert not leftover.exists()


def test_two_suites_do_not_remove_the_same_leftover(leftover, processes):
    servers.sweep()

    # The fixture holds the lock, as the other suite would.
    assert leftover.exists()
    assert [process.poll() for process in processes] == [None, None]


def test_a_leftover_nobody_else_removes_is_swept_and_a_running_suite_is_not(leftover):
    unlocked = leftover.with_name(f"{leftover.name}-free")
    shutil.copytree(leftover, unlocked)

    servers.sweep()

    assert not unlocked.exists()
    assert (servers.FOLDER / "pid").exists()
