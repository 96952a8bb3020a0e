"""The ticker: chores run, fail and come again; what hinders the daemon keeps all of them from running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from daemon.domain.errors import Hindered
from daemon.ticker import Chore, Ticker

PATIENCE_SECONDS = 30.0
OFTEN = timedelta(milliseconds=5)


class Told:
    """Hears how chores went, and lets a test wait for the next."""

    def __init__(self) -> None:
        self.went: list[bool] = []
        self._news = threading.Condition()

    def chore_ran(self, chore: str, seconds: float, *, ok: bool, at_seconds: float) -> None:
        with self._news:
            self.went.append(ok)
            self._news.notify_all()

    def wait_for(self, ok: bool) -> None:
        """Until a run that began after this call went so."""
        with self._news:
            known = len(self.went) + 1  # the one under way may have begun before
            assert self._news.wait_for(lambda: ok in self.went[known:], PATIENCE_SECONDS)


class Affairs:
    """What a chore counts, and what hinders it."""

    def __init__(self) -> None:
        self.runs, self.hindrance, self.trouble = 0, "", ""
        self.kind: type[Exception] = ArithmeticError

    def run(self) -> None:
        self.runs += 1
        if self.trouble:
            raise self.kind(self.trouble)


@contextmanager
def ticking(affairs: Affairs, told: Told) -> Iterator[Ticker]:
    ticker = Ticker([Chore("tick", affairs.run, OFTEN)], told)
    ticker.start(lambda: affairs.hindrance or None)
    try:
        yield ticker
    finally:
        ticker.stop()


def test_nothing_runs_while_the_daemon_is_hindered_and_readiness_says_why() -> None:
    affairs, told = Affairs(), Told()
    affairs.hindrance = "another daemon works on this database"
    with ticking(affairs, told) as ticker:
        told.wait_for(ok=False)
        assert affairs.runs == 0
        assert ticker.problems() == ["tick failed: another daemon works on this database"]
        affairs.hindrance = ""
        told.wait_for(ok=True)
        assert affairs.runs > 0
        assert ticker.problems() == []


def test_what_hinders_a_chore_under_way_is_its_failure_and_no_error_of_the_daemon_s(caplog: pytest.LogCaptureFixture) -> None:
    affairs, told = Affairs(), Told()
    affairs.kind, affairs.trouble = Hindered, "another daemon works on this database"
    with ticking(affairs, told) as ticker:
        told.wait_for(ok=False)
        assert ticker.problems() == ["tick failed: another daemon works on this database"]
    assert "chore-failed" not in caplog.messages


def test_a_chore_that_fails_comes_again_and_is_a_problem_until_it_does_not() -> None:
    affairs, told = Affairs(), Told()
    affairs.trouble = "no such number"
    with ticking(affairs, told) as ticker:
        told.wait_for(ok=False)
        assert ticker.problems() == ["tick failed: ArithmeticError: no such number"]
        affairs.trouble = ""
        told.wait_for(ok=True)
        assert ticker.problems() == []


def test_of_a_failure_of_many_lines_readiness_tells_the_first(caplog: pytest.LogCaptureFixture) -> None:
    affairs, told = Affairs(), Told()
    affairs.trouble = "no such number\n[SQL: INSERT INTO job ...]"
    with ticking(affairs, told) as ticker:
        told.wait_for(ok=False)
        assert ticker.problems() == ["tick failed: ArithmeticError: no such number"]
    assert "INSERT INTO" in caplog.text


def test_before_the_first_tick_the_daemon_is_not_ready() -> None:
    assert Ticker([Chore("tick", Affairs().run, OFTEN)], Told()).problems() == ["the first tick is under way"]


def test_a_tick_that_does_not_end_is_a_problem_until_it_does() -> None:
    begun, may_end, told, at_seconds = threading.Event(), threading.Event(), Told(), [1000.0]

    def slow() -> None:
        begun.set()
        assert may_end.wait(PATIENCE_SECONDS)

    ticker = Ticker([Chore("tick", slow, OFTEN)], told, timer=lambda: at_seconds[0])
    ticker.start(lambda: None)
    try:
        assert begun.wait(PATIENCE_SECONDS)
        assert ticker.problems() == ["the first tick is under way"]
        at_seconds[0] += 12 * 60
        assert ticker.problems()[0] == "the tick has been under way for 12 min: nothing starts or stops until it ends"
        may_end.set()
        told.wait_for(ok=True)
        assert ticker.problems() == []
    finally:
        may_end.set()
        ticker.stop()
