"""The daemon killed with SIGKILL between every two steps of tick and settlement: nothing is lost and nothing done twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.service.mortal_daemon import CLEAN, Death, live, prepare, witness
from tests.fork_server import fork_server
from tests.postgresql import emptied, postgresql_server

Live = Callable[[Path, Death | None], int | None]


@pytest.fixture(scope="module")
def lives() -> Live:
    """Runs a daemon in a process of its own, forked from one that has imported everything already; its exit code."""
    context = fork_server()

    def run(folder: Path, death: Death | None) -> int | None:
        process = context.Process(target=live, args=(folder, death))
        process.start()
        process.join()
        return process.exitcode

    return run


@pytest.fixture(scope="module")
def clean(lives: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a daemon that nobody killed."""
    folder = prepare(tmp_path_factory.mktemp("clean") / "life", None)
    empty = prepare(tmp_path_factory.mktemp("empty") / "life", None)
    assert lives(folder, None) == 0, (folder / "driver.log").read_text()
    (folder / "empty").symlink_to(empty)
    return folder


def deaths_of(folder: Path, occurrence: int) -> list[Death]:
    """Every step that a life goes through so often."""
    steps = Counter((folder / "steps.log").read_text().split())
    return [Death(step, occurrence) for step in steps if steps[step] >= occurrence]


def test_a_daemon_left_alone_does_everything_once(clean: Path) -> None:
    assert witness(clean) == CLEAN


def test_the_steps_cover_observing_planning_committing_acting_and_settling(clean: Path) -> None:
    parts = {death.step.partition(":")[0] for death in deaths_of(clean, 1)}
    assert parts == {"observe", "snapshot", "plan", "commit", "act", "settle"}


@pytest.mark.parametrize(
    ("occurrence", "stride"), [(1, 4), pytest.param(1, 1, marks=pytest.mark.slow), pytest.param(2, 1, marks=pytest.mark.slow)]
)
def test_killed_after_any_step_it_goes_on_as_if_nothing_had_happened(
    clean: Path, lives: Live, tmp_path: Path, occurrence: int, stride: int
) -> None:
    """Every death is two lives of a daemon: the fast tests try one step in four, the slow ones all."""
    deaths = deaths_of(clean, occurrence)[::stride]
    assert gone_wrong(deaths, lives, lambda death: prepare(tmp_path / named(death), clean / "empty")) == {}


@pytest.mark.service
def test_on_postgresql_it_goes_on_as_if_nothing_had_happened_too(clean: Path, lives: Live, tmp_path: Path) -> None:
    with postgresql_server() as url:
        deaths = deaths_of(clean, 1)[::3]
        assert gone_wrong(deaths, lives, lambda death: prepare(tmp_path / named(death), None, emptied(url))) == {}


def named(death: Death) -> str:
    return death.step.replace(":", "-")


def gone_wrong(deaths: list[Death], lives: Live, prepared: Callable[[Death], Path]) -> dict[Death, tuple[object, ...]]:
    """The deaths after which the next life did not end as one without death does, and what was different."""
    wrong: dict[Death, tuple[object, ...]] = {}
    for death in deaths:
        folder = prepared(death)
        killed, finished = lives(folder, death), lives(folder, None)
        seen = witness(folder)
        if (killed, finished) != (-signal.SIGKILL, 0) or seen != CLEAN:
            wrong[death] = killed, finished, {key: seen[key] for key in CLEAN if seen[key] != CLEAN[key]}
    return wrong
