"""How runs share the samples of a synthesis: disjoint ranges, as large as the plan has them, and few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.job import Attempt, DataTag, Job, JobRequest, PlannedSegment, Run, StopWish
from daemon.domain.plan import Mode, PlanJob, SiteOption
from daemon.domain.site import Site
from daemon.domain.states import AttemptState, JobState
from daemon.service.admission import widest
from daemon.service.sharing import Sharing, shared_out
from daemon.service.work import JobWork
from jobs.spec import SampleRange
from tests.daemon.service.world import NOON, synthesis, training

HOUR = timedelta(hours=1)
SAMPLES = 400


def ranges(*bounds: tuple[int, int]) -> list[SampleRange]:
    return [SampleRange(first=first, count=stop - first) for first, stop in bounds]


@st.composite
def free_samples(draw: st.DrawFn) -> tuple[list[SampleRange], int]:
    """Gaps as closed runs leave them: on whole micro-batches, but for the end of the job."""
    batch = draw(st.integers(1, 5))
    edges = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    gaps = ranges(*((first * batch, stop * batch) for first, stop in pairs))
    if draw(st.booleans()):
        last = gaps.pop()
        gaps.append(replace_count(last, last.count - draw(st.integers(0, batch - 1))))
    return gaps, batch


def replace_count(samples: SampleRange, count: int) -> SampleRange:
    return SampleRange(first=samples.first, count=count)


weights_drawn = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6)


@given(free_samples(), weights_drawn, st.sampled_from([0.0, 0.3, 2.0]))
def test_ranges_lie_in_gaps_begin_on_micro_batches_and_never_meet(
    case: tuple[list[SampleRange], int], weights: list[float], reserved: float
) -> None:
    gaps, batch = case
    answer = [one for one in shared_out(gaps, weights, reserved, batch) if one is not None]
    assert answer
    taken = [index for one in answer for index in range(one.first, one.stop)]
    assert len(taken) == len(set(taken))
    ends = {gap.stop for gap in gaps}
    for one in answer:
        assert any(gap.first <= one.first and one.stop <= gap.stop for gap in gaps)
        assert one.first % batch == 0
        assert one.stop % batch == 0 or one.stop in ends


@given(st.integers(1, 300), weights_drawn)
def test_one_gap_is_shared_out_whole_and_as_the_weights_say(batches: int, weights: list[float]) -> None:
    answer = shared_out(ranges((0, batches * 2)), weights, 0.0, 2)
    counts = [0 if one is None else one.count // 2 for one in answer]
    assert sum(counts) == batches
    shares = [weight / sum(weights) * batches for weight in weights]
    assert all(abs(count - share) <= 2 for count, share in zip(counts, shares, strict=True))


def test_a_gap_is_not_cut_where_little_would_stay_for_the_next() -> None:
    assert shared_out(ranges((0, 100), (200, 210)), [100.0, 10.0], 0.0, 1) == ranges((0, 100), (200, 210))
    assert shared_out(ranges((0, 12)), [3.0, 1.0], 0.0, 1) == ranges((0, 9), (9, 12))


def test_gaps_are_taken_whole_rather_than_in_pieces_that_nobody_has_time_for() -> None:
    assert shared_out(ranges((0, 10), (20, 30)), [1.0, 1.0, 1.0], 0.0, 1) == ranges((0, 10), (20, 25), (25, 30))


def test_a_large_gap_is_shared_although_there_are_small_ones_for_everybody() -> None:
    answer = shared_out(ranges((0, 100), (200, 201), (300, 301)), [1.0, 1.0, 1.0], 0.0, 1)
    assert max(one.count for one in answer if one is not None) <= 34


def test_what_runs_that_begin_later_shall_have_is_left_over() -> None:
    assert shared_out(ranges((0, 120)), [2.0], 1.0, 4) == [SampleRange(first=0, count=80)]


SITE = SiteOption("here", work_seconds=4 * 3600.0, power_kw=0.1, startup_seconds=36.0)


def planned(*hours: tuple[float, float], site: SiteOption = SITE) -> Sharing:
    segments = tuple(PlannedSegment(site.site, NOON + HOUR * first, NOON + HOUR * last, 1) for first, last in hours)
    job = PlanJob("j", Mode.DIVISIBLE, 1, NOON, NOON, NOON + 24 * HOUR, (site,), "here", max_width=4)
    return Sharing(job, segments, NOON)


def request(workload: dict[str, Any], **constraints: Any) -> JobRequest:
    return JobRequest.model_validate({"workload": workload, "constraints": constraints})


def job(**constraints: Any) -> Job:
    asked = request(synthesis(SAMPLES, {"path": "w.pt"}, batch_size=4), **constraints)
    return Job("j", asked, JobState.RUNNING, "", NOON, "here", NOON + 24 * HOUR, DataTag.DERIVED)


def working(*left: int, states: Sequence[AttemptState] = (), site: str = "here") -> JobWork:
    """Runs side by side of 100 samples each, with so many left."""
    runs, attempts = [], []
    for number, rest in enumerate(left):
        samples = SampleRange(first=100 * number, count=100)
        runs.append(Run(f"r{number}", "j", site, "/nowhere", samples, NOON, steps_done=100 - rest))
        state = states[number] if states else AttemptState.ACTIVE
        attempts.append(Attempt(f"a{number}", f"r{number}", "j", site, number + 1, state, NOON))
    return JobWork(job(), tuple(runs), tuple(attempts))


def names(attempts: Sequence[Attempt]) -> list[str]:
    return [attempt.id for attempt in attempts]


def test_attempts_serve_the_longest_segments_and_the_others_are_missing() -> None:
    asked = planned((-1, 3), (0, 2), (0, 5), (1, 4))
    assert [part.end - NOON for part in asked.to_start(working(50).live)] == [3 * HOUR, 2 * HOUR]


def test_a_weight_is_the_share_of_the_work_without_the_start_up() -> None:
    asked = planned((0, 1.01))
    assert asked.weight(asked.segments[0]) == pytest.approx(0.25)


def test_only_what_begins_beside_current_segments_is_reserved() -> None:
    assert planned((0, 2), (1, 2.01), (5, 6)).reserved() == pytest.approx(0.25)
    assert planned((5, 6)).reserved() == 0.0


def test_nothing_is_surplus_where_as_many_are_wanted_as_there_are() -> None:
    assert planned((0, 2), (0, 2)).surplus(working(60, 40), {"here": 0}) == ([], [])


def test_of_a_surplus_the_one_that_does_not_work_yet_stops_first_and_then_the_one_with_the_least_left() -> None:
    active, pending = AttemptState.ACTIVE, AttemptState.PENDING
    stopping, finishing = planned((0, 0.1)).surplus(working(60, 40, 90, states=(active, active, pending)), {"here": 4})
    assert names(stopping) == ["a2", "a1"]
    assert finishing == []


def test_a_surplus_run_may_finish_within_the_window_where_nobody_wants_its_gpus() -> None:
    work = working(90, 5)  # of 305 left to make in four hours: the second needs four minutes
    assert [names(some) for some in planned((0, 3)).surplus(work, {"here": 1})] == [[], ["a1"]]
    assert [names(some) for some in planned((0, 3)).surplus(work, {"here": 0})] == [["a1"], []]
    assert [names(some) for some in planned((0, 0.05)).surplus(work, {"here": 1})] == [["a1"], []]


def test_where_nothing_is_wanted_all_stop_and_one_that_stops_already_is_not_counted() -> None:
    stopping, _ = planned((5, 6)).surplus(working(60, 40), {"here": 4})
    assert sorted(names(stopping)) == ["a0", "a1"]
    work = working(60, 40)
    one = replace(work.attempts[0], state=AttemptState.STOPPING, stop_wish=StopWish.SUSPEND)
    assert planned((0, 2)).surplus(replace(work, attempts=(one, work.attempts[1])), {"here": 0}) == ([], [])


def test_a_run_is_stopped_to_be_shared_only_for_many_start_ups_of_work() -> None:
    asked = planned((0, 2), (0, 2))
    assert asked.is_worth_sharing(working(100), working(100).live[0], asked.segments[0])
    assert not asked.is_worth_sharing(working(100), working(100).live[0], planned((0, 0.05)).segments[0])
    slow_start = planned((0, 2), (0, 2), site=replace(SITE, startup_seconds=900.0))
    assert not slow_start.is_worth_sharing(working(100), working(100).live[0], slow_start.segments[0])


@pytest.mark.parametrize(
    ("gpus", "batches", "wish", "width"), [((4, 2), 100, None, 5), ((1,), 100, None, 1), ((4,), 3, None, 3), ((4,), 9, 2, 2)]
)
def test_a_synthesis_is_as_wide_as_gpus_batches_and_wishes_allow(gpus: tuple[int, ...], batches: int, wish: int | None, width: int) -> None:
    sites = [Site(f"s{number}", "DE", many, "generic-cpu", 1.0, frozenset()) for number, many in enumerate(gpus)]
    assert widest(job(max_parallel=wish), sites, batches, most=5) == width


def test_a_job_in_one_piece_is_one_wide() -> None:
    assert widest(job(contiguous=True), [Site("s", "DE", 8, "generic-cpu", 1.0, frozenset())], 100, most=5) == 1


@pytest.mark.parametrize(
    ("workload", "constraints", "message"),
    [
        (training(1), {"max_parallel": 2}, "only a synthesis is cut into chunks"),
        (synthesis(4, {"path": "w.pt"}), {"max_parallel": 2, "contiguous": True}, "contiguous and max_parallel contradict"),
        (synthesis(4, {"path": "w.pt"}), {"max_parallel": 0}, "greater than or equal to 1"),
    ],
)
def test_a_width_that_cannot_be_is_refused(workload: dict[str, Any], constraints: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        request(workload, **constraints)


def test_what_a_run_holds_that_may_not_be_stopped_is_its_own() -> None:
    work = working(60, 40)
    assert work.most_runs == 75  # 300 samples are left, four to a micro-batch
    stubborn = replace(work, job=job(interruptible=False))
    assert stubborn.most_runs == 2 + 50  # the two, and what nobody has claimed
    assert replace(stubborn, runs=(), attempts=()).most_runs == 100
