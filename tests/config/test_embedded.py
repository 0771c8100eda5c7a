"""The embedded servers: addresses, single owner, clean stop, and start after a kill."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import psutil
import psycopg
import pytest
import redis

from config.embedded import LONGEST_SOCKET, endpoints, redis_socket, socket_folder
from config.embedded.folders import CannotStart
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis, binary
from config.embedded.running import lock_var, running, start

NOTHING_GIVEN = {"database_url": "", "redis_url": ""}


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A folder with blanks, a quote and a percent sign, too long for a Unix socket."""
    folder = tmp_path / "it's 100% mine" / ("deep" * 20)
    yield folder
    for name in ("postgres", "redis"):
        shutil.rmtree(socket_folder(folder, name), ignore_errors=True)


def test_missing_urls_default_to_the_embedded_servers() -> None:
    assert endpoints(Path("/v"), database_url="postgresql://a", redis_url="redis://b") == (
        "postgresql://a",
        "redis://b",
    )
    assert endpoints(Path("/v"), **NOTHING_GIVEN) == (
        "postgresql://postgres@/parley?host=/v/postgres",
        "unix:///v/redis/redis.sock",
    )


def test_endpoints_creates_no_folder(tmp_path: Path) -> None:
    endpoints(tmp_path / "var", **NOTHING_GIVEN)
    assert not (tmp_path / "var").exists()


def test_long_path_gets_its_own_short_socket_folder(var: Path) -> None:
    one, other = socket_folder(var, "postgres"), socket_folder(var.parent / "other" / ("deep" * 20), "postgres")
    assert one != other
    assert len(str(one / ".s.PGSQL.5432")) <= LONGEST_SOCKET
    assert len(str(redis_socket(var))) <= LONGEST_SOCKET


@pytest.mark.slow
def test_embedded_servers_start_and_stop_together(var: Path) -> None:
    with running(var, **NOTHING_GIVEN) as (database_url, redis_url):
        assert parse_qs(urlparse(database_url).query)["host"] == [str(socket_folder(var, "postgres"))]
        assert unquote(urlparse(redis_url).path) == str(redis_socket(var))
        with psycopg.connect(database_url) as connection:
            safe = [
                connection.execute(f"SHOW {name}").fetchone()
                for name in ("fsync", "synchronous_commit", "full_page_writes")
            ]
            assert safe == [("on",)] * 3
        assert redis.Redis.from_url(redis_url).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        pids = [Postgres(var).pid(), Redis(var).pid()]
    assert None not in pids
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids if pid)


@pytest.mark.slow
def test_servers_of_a_long_path_are_found_again_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis writes the paths of its program and its socket into its title, and cuts a title that is too long."""
    name = ("Ordner für Größeres " * 10).strip()
    folder = tmp_path / name / name / name
    folder.mkdir(parents=True)
    (folder / "valkey-server").symlink_to(binary())
    monkeypatch.setattr("config.embedded.redis.binary", lambda: folder / "valkey-server")
    var = folder / "var"
    start(var, **NOTHING_GIVEN)
    pids = [Postgres(var).pid(), Redis(var).pid()]
    with running(var, **NOTHING_GIVEN) as (_, redis_url):
        assert [Postgres(var).pid(), Redis(var).pid()] == pids
        assert redis.Redis.from_url(redis_url).info("server")["process_id"] == pids[1]
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids if pid)


@pytest.mark.slow
def test_killed_servers_restart_with_all_committed_data(var: Path) -> None:
    with running(var, **NOTHING_GIVEN) as (database_url, redis_url):
        with psycopg.connect(database_url) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (1)")
        for pid in (Postgres(var).pid(), Redis(var).pid()):
            assert pid
            os.kill(pid, signal.SIGKILL)
    with running(var, **NOTHING_GIVEN) as (database_url, redis_url), psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
        assert redis.Redis.from_url(redis_url).ping()


@pytest.mark.slow
def test_stale_pid_file_of_another_process_does_not_prevent_a_start(var: Path) -> None:
    with running(var, **NOTHING_GIVEN):
        pass
    for file in (var / "postgres" / "postmaster.pid", var / "redis" / "redis.pid"):
        file.write_text(f"{os.getpid()}\n")
    with running(var, **NOTHING_GIVEN) as (database_url, _):
        psycopg.connect(database_url).close()


@pytest.mark.slow
def test_interrupted_initdb_is_repeated(var: Path) -> None:
    """The data folder is incomplete after a SIGKILL during initdb."""
    with running(var, **NOTHING_GIVEN):
        pass
    (var / "postgres").rename(var / "postgres.new-killed")
    (var / "postgres.new-killed" / "global" / "pg_filenode.map").unlink()
    with running(var, **NOTHING_GIVEN) as (database_url, _):
        psycopg.connect(database_url).close()
    assert not list(var.glob("postgres.new-*"))


def test_var_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    locked, done = multiprocessing.Event(), multiprocessing.Event()
    other = multiprocessing.Process(target=_lock_until_done, args=(tmp_path, locked, done))
    other.start()
    assert locked.wait(10)
    with pytest.raises(CannotStart, match=rf"process {other.pid}"), lock_var(tmp_path):
        pytest.fail("locked twice")
    done.set()
    other.join(10)
    with lock_var(tmp_path):
        pass


def _lock_until_done(
    var: Path, locked: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event"
) -> None:
    with lock_var(var):
        locked.set()
        done.wait(10)


def test_start_names_the_setting_of_an_external_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.embedded.running.WAIT_SECONDS", 0.1)
    nowhere = {"database_url": f"postgresql://x@/x?host={tmp_path}", "redis_url": f"unix://{tmp_path}/redis.sock"}
    with pytest.raises(CannotStart, match="DATABASE_URL"), running(tmp_path, **nowhere):
        pytest.fail("no server is there")


@pytest.mark.parametrize("place", ["file", "file/var", "locked/lock"])
def test_unwritable_var_folder_is_refused_with_advice(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked" / "lock" / "lock").mkdir(parents=True)
    with pytest.raises(CannotStart, match=r"cannot be written \(.+\).*PARLEY_VAR"), lock_var(tmp_path / place):
        pytest.fail("locked a path that is no folder")


def test_folder_of_another_owner_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "redis").touch()
    with pytest.raises(CannotStart, match="PARLEY_VAR"):
        Redis(tmp_path).start()
