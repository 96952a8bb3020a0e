from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.domain.explanation import Binding, Elsewhere
from daemon.domain.plan import Mode, SiteOption
from daemon.planner import plan
from daemon.planner.explain import explain
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, job, placed, snapshot

IN_SWEDEN = Elsewhere(SiteOption("se", 2 * 3600, 1.5), Binding.RESIDENCY, "it admitted patient-data")
VALLEY = [400.0] * 6 + [100.0] * 3 + [400.0] * 15


def test_what_holds_a_job_back_and_what_would_help_is_told_in_numbers_and_words() -> None:
    tomorrow = [400.0] * 30 + [200.0] * 18
    snap = snapshot([job("a", hours=3), job("b", hours=3)], {"DE": VALLEY + tomorrow, "SE": [50.0] * 72}, gpus=1)
    answer = plan(snap, BARE)
    loser, winner = ("a", "b") if placed(answer, "a").expected_g > placed(answer, "b").expected_g else ("b", "a")
    why = explain(loser, snap, answer, [IN_SWEDEN])
    assert why is not None
    assert why.placement == placed(answer, loser)
    assert why.held_by == (winner,)
    assert why.alone_g == pytest.approx(300)
    assert why.day_more_g == pytest.approx(1200)
    assert why.site_more_g == {"se": pytest.approx(2 * 1.5 * 50)}
    assert why.bound_by == (Binding.CAPACITY, Binding.RESIDENCY)
    assert f"alone it would emit 300 g, but {winner} holds the GPUs then" in why.sentence
    assert "se would save 1,050 g if it admitted patient-data" in why.sentence


def test_a_neighbour_that_leaves_enough_gpus_is_not_in_the_way() -> None:
    snap = snapshot([job("a", hours=3), job("b", hours=3, deadline_hours=5), job("c", hours=3)], {"DE": VALLEY}, gpus=2)
    answer = plan(snap, BARE)
    for name in ("a", "c"):
        why = explain(name, snap, answer)
        assert why is not None
        assert (why.held_by, why.bound_by) == ((), ())


def test_work_that_home_is_closed_to_is_not_held_against_running_there() -> None:
    flat, dirty = [50.0] * 24, [400.0] * 24
    elsewhere = replace(job("begun", hours=3, sites=("se",)), home="de")
    snap = snapshot([elsewhere, job("free", hours=3, sites=("de", "se"))], {"DE": dirty, "SE": flat}, gpus=2)
    answer = plan(snap, BARE)
    begun, free = (explain(name, snap, answer) for name in ("begun", "free"))
    assert begun is not None
    assert free is not None
    assert "150 g, as much as running at once where it may" in begun.sentence
    assert "(88 %) less than running at once at home" in free.sentence


def test_the_more_in_the_way_the_fewer_are_named_in_the_sentence() -> None:
    snap = snapshot([job(f"j{number}", hours=3) for number in range(6)], {"DE": VALLEY}, gpus=5)
    answer = plan(snap, BARE)
    (loser,) = [p.job_id for p in answer.placements if p.expected_g > 500]
    why = explain(loser, snap, answer)
    assert why is not None
    assert len(why.held_by) == 5
    assert "and 2 more hold the GPUs then" in why.sentence


def test_a_job_that_would_be_wider_without_a_neighbour_is_told_who_holds_the_gpus() -> None:
    """Four GPUs, three clean hours: the neighbour leaves one of them, and nine hours of work would take three."""
    wide = job("wide", hours=9, mode=Mode.DIVISIBLE, max_width=4)
    snap = snapshot([job("big", hours=3, gpus=3, deadline_hours=9, earliest=MONDAY + 6 * HOUR), wide], {"DE": VALLEY}, gpus=4)
    answer = plan(snap, BARE)
    why = explain("wide", snap, answer)
    assert why is not None
    assert why.held_by == ("big",)
    assert why.alone_g == pytest.approx(900)


def test_pieces_side_by_side_are_counted_in_the_window_s_words() -> None:
    snap = snapshot([job(hours=9, mode=Mode.DIVISIBLE, max_width=4)], {"DE": VALLEY}, gpus=4)
    assert "side by side" in placed(plan(snap, BARE)).reason
    assert "side by side" not in placed(plan(snapshot([job(hours=9, mode=Mode.DIVISIBLE)], {"DE": VALLEY}), BARE)).reason


def test_a_late_job_is_told_the_first_deadline_that_would_be_kept() -> None:
    snap = snapshot([job(hours=3, deadline_hours=2)], {"DE": VALLEY})
    why = explain("job", snap, plan(snap, BARE))
    assert why is not None
    assert why.nearest_deadline == MONDAY + 3 * HOUR


def test_a_later_deadline_that_would_help_is_named() -> None:
    snap = snapshot([job(hours=2, deadline_hours=5)], {"DE": VALLEY})
    why = explain("job", snap, plan(snap, BARE))
    assert why is not None
    assert why.day_more_g == pytest.approx(200)
    assert "a deadline one day later would save 600 g" in why.sentence
    assert why.bound_by == (Binding.DEADLINE,)


def test_a_job_without_a_place_is_explained_by_the_plan_s_reason() -> None:
    snap = snapshot([job(gpus=9)], {"DE": VALLEY})
    why = explain("job", snap, plan(snap, BARE))
    assert why is not None
    assert (why.placement, why.bound_by) == (None, (Binding.ROOM,))
    assert "needs 9 GPUs at once" in why.sentence


def test_a_job_the_plan_has_never_seen_has_no_explanation() -> None:
    snap = snapshot([job()], {"DE": VALLEY})
    assert explain("another", snap, plan(snap, BARE)) is None
