"""One daemon per database, whichever it is: the second is refused, and the first one's end lets the next in."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from daemon.sole import AlreadyRunning, sole_daemon
from daemon.store import StoreUnavailable
from daemon.store import database as databases
from daemon.store.database import AdvisoryLock
from tests.postgresql import emptied, end_sessions_with_locks, pooler

HOLD = "import sys; from daemon.sole import sole_daemon\nwith sole_daemon(sys.argv[1]):\n    print('mine', flush=True); sys.stdin.read()"


def test_a_second_daemon_is_refused_until_the_first_has_ended(store_url: str) -> None:
    with sole_daemon(store_url), pytest.raises(AlreadyRunning, match="another daemon works on"), sole_daemon(store_url):
        pass
    with sole_daemon(store_url):
        pass


def test_a_daemon_that_was_killed_keeps_nobody_out(store_url: str) -> None:
    command = [sys.executable, "-c", HOLD, store_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(AlreadyRunning), sole_daemon(store_url):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    for _ in range(200):  # the server notices the end of a session a moment after
        try:
            with sole_daemon(store_url):
                return
        except AlreadyRunning:
            continue
    pytest.fail("the lock of a killed daemon stays")


def test_a_server_that_is_out_of_reach_is_one_sentence() -> None:
    url = "postgresql+psycopg://ada:secret@127.0.0.1:9/lowtide"
    with pytest.raises(StoreUnavailable, match="is not available") as problem, sole_daemon(url):
        pass
    assert "secret" not in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.fixture
def server_url(server: str) -> str:
    """Only a server loses locks."""
    return emptied(server)


@pytest.mark.service
def test_a_lock_that_the_server_lost_is_taken_again_and_keeps_others_out(server_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with sole_daemon(server_url) as hindrance:
        assert hindrance() is None
        assert not caplog.messages
        end_sessions_with_locks(server_url)
        assert hindrance() is None
        assert caplog.messages == ["sole-lock-renewed"]
        with pytest.raises(AlreadyRunning), sole_daemon(server_url):
            pass
        assert hindrance() is None
        assert caplog.messages == ["sole-lock-renewed"]


@pytest.mark.service
def test_a_daemon_whose_lock_another_took_meanwhile_rests_until_that_one_has_ended(
    server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with sole_daemon(server_url) as first:
        end_sessions_with_locks(server_url)
        with sole_daemon(server_url) as second:
            for _ in range(2):
                assert "another daemon works on" in (first() or "")
            assert second() is None
        assert caplog.record_tuples == [("daemon.sole", logging.ERROR, "sole-lock-lost")], "once, not at every turn"
        assert any(first() is None for _ in range(200)), "the server notices the end of a session a moment after"
        assert caplog.messages == ["sole-lock-lost", "sole-lock-renewed"]


@pytest.mark.service
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_server_behind_a_pooler_is_refused_in_one_sentence_and_no_lock_stays(server_url: str, mode: str) -> None:
    with pooler(server_url, mode) as pooled:
        with (
            pytest.raises(StoreUnavailable, match=r"is reached through a pooler .* set database to the server's own address"),
            sole_daemon(pooled),
        ):
            pass
        with sole_daemon(server_url) as hindrance:
            assert hindrance() is None


@pytest.mark.service
def test_a_lock_whose_session_went_to_another_program_is_not_held(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "announced_backend", lambda _: None)  # a driver that does not tell
    with pooler(server_url, "transaction") as pooled:
        lock, engine = AdvisoryLock(pooled, 7), create_engine(pooled)
        assert lock.take()
        assert lock.is_held()
        with engine.begin() as other:
            other.execute(text("SELECT 1"))  # it has the session now, lock and all
            assert not lock.is_held()
        engine.dispose()
        lock.release()


def test_a_file_s_lock_is_never_lost(tmp_path: Path) -> None:
    with sole_daemon(f"sqlite:///{tmp_path / 'lowtide.db'}") as hindrance:
        assert hindrance() is None
