"""An account stays on what it was opened on: neither a changed setting nor a model that has learnt rewrites what was settled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.domain.ledger import EntryKind
from daemon.domain.states import JobState
from tests.daemon.service.world import HEIDELBERG, UMEA, World, as_estimated, open_world, training

CHANGES: list[dict[str, Any]] = [{"pue": 2.0}, {"zone": "SE"}, {"gpus": 4}, {"transfer_kwh_per_gb": 5.0}]


def settled_training(world: World, **constraints: Any) -> str:
    job_id = world.submit(training(1), deadline=world.deadline(20), **constraints)
    world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    return job_id


def let_it_become_final(world: World) -> None:
    world.now += timedelta(days=6)
    world.record()
    world.daemon.settler.settle()
    world.daemon.settler.adjust()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_what_settings_say_later_of_a_site_changes_no_account(tmp_path: Path, change: dict[str, Any]) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        job_id, nodes, now = settled_training(world), world.nodes, world.now
        (opened,) = world.ledger(job_id)
    changed = [site | change for site in (HEIDELBERG, UMEA)]
    with open_world(tmp_path, *changed, nodes=nodes, now=now) as world:
        let_it_become_final(world)
        final = world.ledger(job_id)[-1]
        assert final.kind is EntryKind.FINAL
        told = (final.facility_energy_kwh, final.actual_g, final.baseline_g)
        assert told == pytest.approx((opened.facility_energy_kwh, opened.actual_g, opened.baseline_g), rel=1e-9)
        other = settled_training(world)  # what comes after the change counts with it
        assert {one.pue for one in world.daemon.service.ledger(other).sites} == {site["pue"] for site in changed}


@pytest.mark.slow
def test_runs_that_teach_how_hardware_compares_add_no_line_to_final_accounts(tmp_path: Path) -> None:
    slow = UMEA | {"hardware": "a100-sxm4-40gb"}
    with open_world(tmp_path, HEIDELBERG, slow) as world:
        job_id = settled_training(world, sites=["umea"])
        let_it_become_final(world)
        before = world.ledger(job_id)
        assert before[-1].baseline_is_estimated
        settled_training(world, sites=["heidelberg"])
        world.nodes["umea"].pace = lambda workload: 1.3 * as_estimated(workload)
        settled_training(world, sites=["umea"])
        world.daemon.settler.adjust()
        assert world.ledger(job_id) == before


def test_the_grams_of_an_account_follow_from_what_it_tells(two_sites: World) -> None:
    job_id = settled_training(two_sites, sites=["umea"])
    let_it_become_final(two_sites)
    ledger = two_sites.daemon.service.ledger(job_id)
    home, away = ledger.sites
    assert [(one.site, one.zone, one.pue) for one in (home, away)] == [("heidelberg", "DE", 1.5), ("umea", "SE", 1.1)]
    entry = ledger.entries[-1]
    assert entry.facility_energy_kwh == pytest.approx(entry.energy_kwh * away.pue)
    assert entry.actual_g is not None
    assert 30 <= entry.actual_g / entry.facility_energy_kwh <= 31  # the Swedish hours
    assert entry.baseline_g is not None
    assert 420 <= entry.baseline_g / (entry.useful_kwh * away.energy_factor * home.pue) <= 421  # a German afternoon
