"""The baseline's queue: capacity holds, nobody overtakes, nobody starts before his predecessors end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.first_come import QueuedWork, first_come_starts

START = datetime(2024, 3, 4, tzinfo=UTC)
CAPACITY = {"home": 4, "away": 1}


@st.composite
def queues(draw: st.DrawFn) -> list[QueuedWork]:
    """Jobs on two sites; each may wait for some that were named before it."""
    work: list[QueuedWork] = []
    for index in range(draw(st.integers(min_value=0, max_value=12))):
        after = draw(st.lists(st.sampled_from(range(index)), unique=True, max_size=2)) if index else []
        work.append(
            QueuedWork(
                job_id=f"j{index:02d}",
                site=draw(st.sampled_from(sorted(CAPACITY))),
                ready=START + timedelta(minutes=draw(st.integers(min_value=0, max_value=600))),
                seconds=draw(st.integers(min_value=0, max_value=6 * 3600)),
                gpus=draw(st.integers(min_value=1, max_value=6)),
                after=tuple(f"j{before:02d}" for before in after),
            )
        )
    return work


def ends(work: list[QueuedWork], starts: dict[str, datetime]) -> dict[str, datetime]:
    return {item.job_id: starts[item.job_id] + timedelta(seconds=item.seconds) for item in work}


def joins(item: QueuedWork, ended: dict[str, datetime]) -> datetime:
    return max([item.ready, *(ended[name] for name in item.after)])


@given(queues())
def test_capacity_is_never_exceeded(work: list[QueuedWork]) -> None:
    starts = first_come_starts(work, CAPACITY)
    ended = ends(work, starts)
    for moment in starts.values():
        for site, limit in CAPACITY.items():
            held = [item for item in work if item.site == site and starts[item.job_id] <= moment < ended[item.job_id]]
            assert sum(min(item.gpus, limit) for item in held) <= limit


@given(queues())
def test_nobody_starts_before_he_is_ready_and_his_predecessors_have_ended(work: list[QueuedWork]) -> None:
    starts = first_come_starts(work, CAPACITY)
    ended = ends(work, starts)
    assert set(starts) == {item.job_id for item in work}
    for item in work:
        assert starts[item.job_id] >= joins(item, ended)


@given(queues())
def test_nobody_overtakes_who_joined_the_same_queue_earlier(work: list[QueuedWork]) -> None:
    starts = first_come_starts(work, CAPACITY)
    ended = ends(work, starts)
    for site in CAPACITY:
        queue = [item for item in work if item.site == site]
        for item in queue:
            # of two that join at the same instant, either may be served first
            assert all(starts[other.job_id] >= starts[item.job_id] for other in queue if joins(other, ended) > joins(item, ended))


@given(queues())
def test_who_waits_is_kept_waiting_by_a_full_site_or_by_the_queue(work: list[QueuedWork]) -> None:
    """A start later than joining is one at which somebody gave room or at which the one before started."""
    starts = first_come_starts(work, CAPACITY)
    ended = ends(work, starts)
    for item in work:
        start = starts[item.job_id]
        others = [other for other in work if other.site == item.site and other is not item]
        moments = {joins(item, ended), *(starts[other.job_id] for other in others), *(ended[other.job_id] for other in others)}
        assert start in moments


@given(queues(), st.randoms(use_true_random=False))
def test_the_order_in_which_jobs_are_listed_does_not_matter(work: list[QueuedWork], random: Random) -> None:
    shuffled = list(work)
    random.shuffle(shuffled)
    assert first_come_starts(shuffled, CAPACITY) == first_come_starts(work, CAPACITY)


def test_a_predecessor_that_is_not_in_the_queue_holds_nobody_up() -> None:
    alone = QueuedWork("j1", "home", START, 60.0, 1, after=("long-gone",))
    assert first_come_starts([alone], CAPACITY) == {"j1": START}


def test_two_jobs_for_one_place_run_one_after_the_other() -> None:
    work = [QueuedWork(name, "away", START, 3600.0, 1) for name in ("j1", "j2")]
    assert first_come_starts(work, CAPACITY) == {"j1": START, "j2": START + timedelta(hours=1)}
