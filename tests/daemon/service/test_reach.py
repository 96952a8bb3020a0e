"""A site that cannot be asked, or that the settings no longer name, is shown to whoever looks: sites, jobs and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.domain.states import JobState
from daemon.service.views import SiteView
from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world, training


def sites(world: World) -> dict[str, SiteView]:
    return {site.name: site for site in world.daemon.service.sites()}


def sample(world: World, line: str) -> str:
    """The value of a metric, as a scrape shows it after the sites were told."""
    world.daemon.metrics.show_sites(world.daemon.service.sites())
    text = world.daemon.metrics.exposition("")[0].decode()
    return next(row.removeprefix(f"{line} ") for row in text.splitlines() if row.startswith(f"{line} "))


def kinds(world: World, job_id: str) -> Sequence[str]:
    return [event.kind for event in world.events(job_id)]


def test_an_executor_that_cannot_be_asked_is_shown_until_it_answers_again(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        job_id = world.submit(training(3), deadline=world.deadline(4), sites=["heidelberg"])
        world.until(job_id, JobState.RUNNING)
        world.home.is_out_of_reach = True
        world.pass_time(1)
        assert sites(world)["heidelberg"].status == "out-of-reach"
        assert "the node does not answer" in (sites(world)["heidelberg"].reason or "")
        assert (sites(world)["umea"].status, sites(world)["umea"].reason) == ("up", None)
        assert world.job(job_id).reason.startswith("held up at heidelberg: its executor cannot be asked")
        assert kinds(world, job_id).count("executor-out-of-reach") == 1, "told when it begins, not at every tick"
        assert sample(world, 'lowtide_executor_up{site="heidelberg"}') == "0.0"
        assert sample(world, 'lowtide_executor_up{site="umea"}') == "1.0"
        world.home.is_out_of_reach = False
        world.tick()
        assert sites(world)["heidelberg"].status == "up"
        assert world.job(job_id).reason == "running at heidelberg"
        assert sample(world, 'lowtide_executor_up{site="heidelberg"}') == "1.0"


def test_a_silence_without_news_writes_nothing(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        job_id = world.submit(training(3), deadline=world.deadline(4))
        world.until(job_id, JobState.RUNNING)
        world.home.is_out_of_reach = True
        world.pass_time(0.5)
        told = world.job(job_id)
        world.tick()
        assert world.job(job_id).version == told.version


def test_a_site_taken_out_of_the_settings_is_shown_while_it_holds_attempts(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        kept = world.submit(training(1), deadline=world.deadline(2), sites=["heidelberg"])
        world.until(kept, JobState.RUNNING)
        nodes, now = world.nodes, world.now
    with open_world(tmp_path, UMEA, nodes=nodes, now=now) as world:
        world.tick()
        forgotten = sites(world)["heidelberg"]
        assert (forgotten.status, forgotten.gpus_busy, forgotten.gpus, forgotten.zone) == ("not-in-settings", 1, None, None)
        assert "put it back" in (forgotten.reason or "")
        assert world.job(kept).reason.startswith("held up at heidelberg: the settings no longer name this site")
        assert "site-unknown" in kinds(world, kept)
        assert sample(world, "lowtide_sites_not_in_settings") == "1.0"
        now = world.now
    with open_world(tmp_path, HEIDELBERG, UMEA, nodes=nodes, now=now) as world:
        world.until(kept, JobState.SUCCEEDED)
        assert [site.status for site in world.daemon.service.sites()] == ["up", "up"]
        assert sample(world, "lowtide_sites_not_in_settings") == "0.0"


def test_a_forgotten_site_is_logged_once_and_who_waits_for_it_hears_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        running = world.submit(training(1), deadline=world.deadline(2), sites=["heidelberg"])
        world.until(running, JobState.RUNNING)
        waiting = world.submit(training(1), deadline=world.deadline(9), sites=["heidelberg"])
        nodes, now = world.nodes, world.now
    with open_world(tmp_path, UMEA, nodes=nodes, now=now) as world:
        for _ in range(3):
            world.tick()
        assert [record.message for record in caplog.records].count("site-unknown") == 1
        assert "the settings no longer name the sites it names" in world.job(waiting).reason
        now = world.now
    with open_world(tmp_path, HEIDELBERG, UMEA, nodes=nodes, now=now) as world:
        world.until(waiting, JobState.SUCCEEDED)


def test_an_attempt_still_to_be_launched_at_a_forgotten_site_says_so_too(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        world.home.is_full = True
        job_id = world.submit(training(1), deadline=world.deadline(2), sites=["heidelberg"])
        world.until(job_id, JobState.RUNNING)
        nodes, now = world.nodes, world.now
    with open_world(tmp_path, UMEA, nodes=nodes, now=now) as world:
        world.tick()
        assert "the settings no longer name this site" in world.job(job_id).reason
