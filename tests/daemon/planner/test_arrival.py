"""Jobs that arrive at a standing plan: they swap hours, make room, and leave room for what may still come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from daemon.domain.plan import Mode, PlanJob
from daemon.planner.arrival import arrive
from daemon.planner.exchange import improve_by_swaps
from daemon.planner.field import Field, Held, grams_of, rest_of
from daemon.planner.forward import bring_forward
from daemon.planner.guard import keep_room, worst_shortage
from daemon.planner.reserve import WEEK_SECONDS, Demand
from daemon.planner.task import Piece, Task, task_of
from daemon.planner.terrain import Terrain, terrain_of
from daemon.planner.terrain_part import part_of
from tests.daemon.planner.builders import HOUR, MONDAY, job, snapshot

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAUSES = Mode.INTERRUPTIBLE
H = 3600.0


def a_terrain(rates: Sequence[float], gpus: int = 1) -> Terrain:
    return terrain_of(snapshot([], {"DE": rates}, gpus=gpus))


def a_field(rates: Sequence[float], gpus: int = 1) -> Field:
    return Field(a_terrain(rates, gpus))


def come(field: Field, planned: PlanJob, now: float = 0.0) -> Held:
    task = task_of(planned, field.whole)
    assert task is not None
    held = Held(task)
    field.add(held)
    assert arrive(field, held, now, confidence=0.0)
    return held


def hours_of(held: Held) -> list[int]:
    return [hour for piece in held.ahead for hour in range(int(piece.start // H), int(-(-piece.end // H)))]


def check(field: Field, capacity: int) -> None:
    """Everybody does all of the work in time and in the window; nowhere are more GPUs held than there are, nor others than noted."""
    held_gpus = np.zeros(field.whole.count)
    for held in field.live.values():
        assert sum(p.end - p.start for p in held.ahead) == pytest.approx(held.task.choices[0].work)
        assert held.ahead[0].start >= held.task.release - 1e-6
        assert held.ahead[-1].end <= held.task.due + 1e-6
        assert all(a.end <= b.start + 1e-6 for a, b in pairwise(held.ahead))
        assert held.is_pausable or len(held.ahead) == 1
        for piece in held.ahead:
            held_gpus[field.whole.cell(piece.start) : field.whole.cell_after(piece.end)] += held.task.gpus
    assert held_gpus.max(initial=0) <= capacity
    assert (capacity - field.free[0] == held_gpus).all()


@pytest.mark.parametrize(("transfer_kwh", "moves"), [(0.0, True), (2.0, False)])
def test_no_hours_are_swapped_where_moving_data_in_a_dirty_hour_would_cost_more_than_that_saves(transfer_kwh: float, moves: bool) -> None:
    field = a_field([500, 400, 50, 60] + [500] * 4)
    heavy = job("heavy", hours=2, deadline_hours=4, mode=PAUSES, power_kw=0.2, transfer_kwh={"de": transfer_kwh})
    first = come(field, heavy)
    assert hours_of(first) == [2, 3]
    second = come(field, job("newcomer", hours=1, deadline_hours=4, mode=PAUSES, power_kw=0.5))
    assert hours_of(second) == ([2] if moves else [1])
    assert hours_of(first) == ([1, 3] if moves else [2, 3])
    check(field, 1)


def test_a_job_with_less_time_gets_the_clean_hour_that_one_with_more_time_can_give() -> None:
    field = a_field([900, 50, 300, 300, 60, 300])
    patient = come(field, job("patient", hours=1, deadline_hours=6, mode=PAUSES))
    urgent = come(field, job("urgent", hours=1, deadline_hours=3, mode=PAUSES))
    assert hours_of(patient) == [4]
    assert hours_of(urgent) == [1]


def test_the_hungrier_job_gets_the_cleaner_hour() -> None:
    field = a_field([300, 50, 90, 300])
    thrifty = come(field, job("thrifty", hours=1, deadline_hours=4, mode=PAUSES, power_kw=0.3))
    hungry = come(field, job("hungry", hours=1, deadline_hours=4, mode=PAUSES, power_kw=2.0))
    assert hours_of(hungry) == [1]
    assert hours_of(thrifty) == [2]


def test_who_swaps_an_hour_keeps_those_that_are_too_dirty_to_be_looked_at() -> None:
    field = a_field([900, 10, 900, 30, 40])
    thrifty, hungry = (come(field, job(name, hours, 5, mode=PAUSES, power_kw=kw)) for name, hours, kw in (("t", 2, 0.4), ("h", 1, 2.0)))
    for held in (thrifty, hungry):
        field.take_ahead(held, 0.0)
    choice, power = thrifty.task.choices[0], hungry.task.choices[0]
    field.hold(thrifty, [Piece(choice, H, 2 * H), Piece(choice, 4 * H, 5 * H)])
    field.hold(hungry, [Piece(power, 3 * H, 4 * H)])
    assert improve_by_swaps(field, hungry, 0.0)
    assert hours_of(hungry) == [1]
    assert hours_of(thrifty) == [3, 4]
    check(field, 1)


def test_a_job_that_no_free_hours_hold_takes_hours_that_others_can_give() -> None:
    field = a_field([100, 50, 60, 70, 100, 100])
    long = come(field, job("long", hours=3, deadline_hours=6, mode=PAUSES))
    assert hours_of(long) == [1, 2, 3]
    tight = come(field, job("tight", hours=3, deadline_hours=4, mode=PAUSES))
    assert sorted(hours_of(tight) + hours_of(long)) == [0, 1, 2, 3, 4, 5]
    check(field, 1)


def test_a_job_that_may_begin_within_an_hour_keeps_all_its_work_and_its_beginning_when_others_take_its_hours() -> None:
    field = a_field([900, 10, 50, 300, 60, 300, 20, 400])
    thrifty = come(field, job("thrifty", 2.5, 8, mode=PAUSES, power_kw=0.3, earliest=MONDAY + 1.5 * HOUR))
    assert hours_of(thrifty) == [1, 2, 6]
    hungry = come(field, job("hungry", 1, 8, mode=PAUSES, power_kw=3.0, earliest=MONDAY + 2 * HOUR))
    assert hours_of(hungry) == [6]
    check(field, 1)


def test_a_job_due_where_the_outlook_ends_gets_all_its_work_done_in_hours_that_others_give() -> None:
    field = a_field([200, 200, 50, 60, 100, 100])
    come(field, job("gives", 2, 6, mode=PAUSES))
    tight = come(field, job("tight", 4, 6, mode=PAUSES, earliest=MONDAY + 2 * HOUR))
    assert hours_of(tight) == [2, 3, 4, 5]
    check(field, 1)


def test_nobody_moves_into_the_hours_in_which_a_job_that_is_given_hours_begins_and_ends() -> None:
    field = a_field([100, 100, 300, 40, 50, 300, 200, 400])
    come(field, job("gives", 2, 8, mode=PAUSES))
    tight = come(field, job("tight", 4, 6.5, mode=PAUSES, earliest=MONDAY + 2.5 * HOUR))
    assert hours_of(tight) == [2, 3, 4, 5, 6]
    check(field, 1)


def test_an_unbroken_job_finds_room_where_all_others_are_placed_anew() -> None:
    field = a_field([200, 100, 50, 100, 200, 200, 200, 200])
    come(field, job("pauses", hours=2, deadline_hours=8, mode=PAUSES))
    rigid = come(field, job("rigid", hours=4, deadline_hours=5))
    assert rigid.ahead[-1].end <= 5 * H
    check(field, 1)


def test_a_job_for_which_there_is_no_room_changes_nothing() -> None:
    field = a_field([100] * 4)
    first = come(field, job("first", hours=3, deadline_hours=3))
    before = list(first.ahead)
    task = task_of(job("second", hours=3, deadline_hours=4), field.whole)
    assert task is not None
    second = Held(task)
    field.add(second)
    assert not arrive(field, second, 0.0, confidence=0.0)
    assert first.ahead == before
    assert second.ahead == []


halves = st.tuples(st.integers(0, 40), st.integers(1, 16), st.integers(0, 24)).map(lambda one: tuple(n / 2 for n in one))
arrivals = st.lists(
    st.tuples(halves, st.integers(1, 2), st.sampled_from([0.4, 2.0]), st.booleans()),
    min_size=1,
    max_size=12,
)


@SLOW
@given(arrivals, st.integers(0, 1000))
def test_whoever_comes_all_work_is_done_once_in_its_window_and_within_capacity(
    jobs: list[tuple[tuple[float, float, float], int, float, bool]], seed: int
) -> None:
    rates = np.random.default_rng(seed).integers(20, 500, 60).tolist()
    field, late = a_field(rates, gpus=3), False
    for number, ((start, hours, slack), gpus, power, pauses) in enumerate(sorted(jobs)):
        earliest = MONDAY + start * HOUR
        mode = PAUSES if pauses else Mode.CONTIGUOUS
        one = job(f"j{number}", hours, start + hours + slack, mode=mode, gpus=gpus, power_kw=power, earliest=earliest)
        task = task_of(one, field.whole)
        assert task is not None
        held = Held(task)
        field.add(held)
        if not arrive(field, held, 0.0, confidence=0.0):
            late = True
            del field.live[held.id]
    check(field, 3)
    assert field.live or late


@pytest.mark.parametrize("seed", range(6))
def test_in_a_full_queue_every_arrival_leaves_everybody_s_work_whole(seed: int) -> None:
    random = np.random.default_rng(seed)
    field = a_field(random.integers(20, 500, 120).tolist(), gpus=6)
    for number in range(40):
        hours, slack = int(random.integers(2, 20)), int(random.integers(4, 80))
        one = job(f"j{number}", hours + 0.5, hours + slack, mode=PAUSES, power_kw=float(random.choice([0.4, 1.0])))
        task = task_of(one, field.whole)
        assert task is not None
        held = Held(task)
        field.add(held)
        if not arrive(field, held, 0.0, confidence=0.0):
            del field.live[held.id]
        check(field, 6)
    assert len(field.live) > 20


@SLOW
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 14)), min_size=1, max_size=10), st.integers(0, 1000))
def test_jobs_of_one_power_come_close_to_the_linear_programme(jobs: list[tuple[int, int]], seed: int) -> None:
    rates = np.random.default_rng(seed).integers(20, 500, 30).astype(float)
    field = a_field(rates.tolist(), gpus=4)
    placed: list[Task] = []
    for number, (hours, slack) in enumerate(jobs):
        task = task_of(job(f"j{number}", hours, 1 + hours + slack, mode=PAUSES, earliest=MONDAY + HOUR), field.whole)
        assert task is not None
        held = Held(task)
        field.add(held)
        if not arrive(field, held, 0.0, confidence=0.0):
            del field.live[held.id]
            continue
        placed.append(task)
    cost = sum(grams_of(held.ahead, field.whole) for held in field.live.values())
    best = least_grams(placed, rates, 4)
    assert best - 1e-6 <= cost <= best * 1.03 + 1e-6


def least_grams(tasks: Sequence[Task], rates: np.ndarray[tuple[int], np.dtype[np.float64]], gpus: int) -> float:
    """Whole hours of every job in its window, no more of them at once than GPUs."""
    columns = [(n, hour) for n, task in enumerate(tasks) for hour in range(1, int(task.due // H))]
    work = np.array([[float(n == owner) for owner, _ in columns] for n in range(len(tasks))])
    room = np.array([[float(hour == at) for _, at in columns] for hour in range(len(rates))])
    cost = [rates[hour] * tasks[n].choices[0].power for n, hour in columns]
    answer = linprog(cost, A_ub=room, b_ub=[gpus] * len(rates), A_eq=work, b_eq=[t.choices[0].work / H for t in tasks], bounds=(0, 1))
    assert answer.status == 0
    assert answer.fun is not None
    return float(answer.fun)


def test_what_a_job_has_done_is_left_out_of_its_rest() -> None:
    field = a_field([100, 900, 100, 900, 100, 900])
    held = come(field, job("a", hours=3, deadline_hours=6, mode=PAUSES))
    field.advance(1.5 * H)
    rest = field.take_ahead(held, 1.5 * H)
    assert rest.choices[0].work == pytest.approx(2 * H)
    assert rest_of(held) == rest
    assert [(piece.start, piece.end) for piece in held.past] == [(0.0, H)]


def test_an_hour_that_a_job_leaves_early_is_free_for_its_rest() -> None:
    field = a_field([100, 100, 100], gpus=1)
    come(field, job("a", hours=0.5, deadline_hours=3, mode=PAUSES))
    assert field.free[0, 0] == 0
    field.advance(0.6 * H)
    assert field.free[0, 0] == 1
    assert not field.live


def test_a_field_grows_with_its_jobs() -> None:
    field = a_field([100.0] * 10, gpus=200)
    jobs = [come(field, job(f"j{number}", hours=1, deadline_hours=9, mode=PAUSES)) for number in range(150)]
    assert len({held.row for held in jobs}) == 150
    assert (field.gpus[[held.row for held in jobs]] == 1).all()
    check(field, 200)


@SLOW
@given(st.integers(1, 40), st.integers(1, 30), st.floats(0, 29), st.floats(0.1, 20))
def test_a_part_of_a_terrain_costs_and_counts_what_the_whole_does(first: int, count: int, offset: float, length: float) -> None:
    whole = a_terrain(np.random.default_rng(first).uniform(50, 500, 100).tolist())
    part = part_of(whole, first, first + count)
    start = (first + min(offset, count - 0.5)) * H
    end = min(start + length * H, part.end)
    assert part.grams_per_kw(0, start, end) == pytest.approx(whole.grams_per_kw(0, start, end))
    assert part.cell(start) + first - 1 == whole.cell(start)
    assert part.cell_after(end) + first - 1 == whole.cell_after(end)
    assert part.end == whole.edges[first + count]


def test_a_view_of_a_field_shows_and_changes_the_whole() -> None:
    field = a_field([100.0] * 400, gpus=2)
    field.look(100 * H, 120 * H)
    assert field.terrain.count < 400
    held = come(field, job("a", hours=5, deadline_hours=120, earliest=MONDAY + 100 * HOUR), 100 * H)
    assert held.ahead[0].start == 100 * H
    field.look(350 * H, 399 * H)
    assert field.terrain.cell(350 * H) == 1
    assert field.terrain.end == 400 * H


def a_demand(weeks: int, jobs_a_week: int, step: float = 1e-9) -> Demand:
    """Jobs of 10 h on one GPU, due 20 h later, at noon of every Wednesday."""
    demand = Demand()
    for week in range(weeks):
        for number in range(jobs_a_week):
            at = timedelta(weeks=week, days=2, hours=12)
            one = job(f"{week}-{number}", 10, at / HOUR + 20, earliest=MONDAY + at)
            task = task_of(one, a_terrain([100.0] * 3))
            assert task is not None
            demand.note(task, step)
    return demand


def test_what_may_come_is_what_came_and_a_margin_that_shrinks_with_the_weeks_known() -> None:
    starts = np.array([2.0, 2.55, 2.9]) * 86400
    few, many = (
        a_demand(weeks, 4).to_come(starts + weeks * WEEK_SECONDS, 3.5 * 86400 + weeks * WEEK_SECONDS, (2 + 7 * weeks) * 86400.0)
        for weeks in (2, 6)
    )
    assert 40 * H < many[0] < few[0] < 140 * H
    assert few[1] > 0  # they may come a little later than last week
    assert few[2] == 0


def test_a_job_whose_pieces_run_side_by_side_asks_for_the_gpus_of_all_of_them() -> None:
    terrain, side_by_side, unbroken = a_terrain([100.0] * 3, gpus=3), Demand(), Demand()
    for week in range(3):
        at = timedelta(weeks=week, days=2, hours=12)
        due, begins = at / HOUR + 5, MONDAY + at
        for demand, one in (
            (side_by_side, job(f"{week}", 9, due, mode=Mode.DIVISIBLE, max_width=3, earliest=begins)),
            (unbroken, job(f"{week}", 3, due, gpus=3, earliest=begins)),
        ):
            task = task_of(one, terrain)
            assert task is not None
            demand.note(task, 1e-9)
    start, noon = np.array([2.0 * 86400 + 3 * WEEK_SECONDS]), 2.5 * 86400 + 3 * WEEK_SECONDS
    wide, large = (demand.to_come(start, noon + 5 * H, float(start[0])) for demand in (side_by_side, unbroken))
    assert wide[0] == pytest.approx(large[0])
    assert wide[0] > 9 * H


def test_what_may_be_left_until_after_the_deadline_needs_no_room_before_it() -> None:
    week = 3 * WEEK_SECONDS
    start = np.array([2.0 * 86400 + week])
    noon = 2.5 * 86400 + week
    room = [float(a_demand(3, 1).to_come(start, noon + hours * H, float(start[0]))[0]) for hours in (5, 12, 20)]
    assert room[0] == 0 < room[1] < room[2]


def test_nothing_is_kept_free_on_the_first_day_and_before_a_week_is_known_days_are_repeated() -> None:
    noon = 2.5 * 86400
    known = a_demand(1, 5)
    assert not known.to_come(np.array([noon]), noon + 20 * H, noon + 12 * H).any()
    later = known.to_come(np.array([noon + 24 * H]), noon + 44 * H, noon + 25 * H)
    assert 50 * H <= later[0] <= 150 * H
    assert not known.to_come(np.array([noon + 24 * H]), noon + 33 * H, noon + 25 * H).any()  # none could be done by then
    assert not Demand().to_come(np.array([0.0]), 86400.0, 0.0).any()


def test_work_is_brought_forward_only_as_far_as_what_may_come_needs() -> None:
    demand = a_demand(4, 1)
    start = 4 * WEEK_SECONDS + 2.5 * 86400 - 12 * H  # the Wednesday after, at midnight
    rates = np.full(int(start / H) + 200, 300.0)
    rates[int(start / H) + 12 :] = 100.0
    field = a_field(rates.tolist(), gpus=3)
    field.look(start, start + 33 * H)
    due = int(start / H) + 32
    jobs = [come(field, job(f"j{n}", 15, due, mode=PAUSES, earliest=MONDAY + timedelta(seconds=start)), start) for n in range(3)]
    assert all(held.ahead[0].start >= start + 12 * H for held in jobs)
    assert worst_shortage(field, demand, start) is not None
    keep_room(field, demand, start)
    assert worst_shortage(field, demand, start) is None
    early = sum(min(piece.end, start + 12 * H) - piece.start for held in jobs for piece in held.ahead if piece.start < start + 12 * H)
    assert 0 < early < 36 * H
    assert all(sum(p.end - p.start for p in held.ahead) == pytest.approx(15 * H) for held in jobs)


def test_an_unbroken_job_is_brought_forward_as_a_whole() -> None:
    field = a_field([300.0] * 6 + [100.0] * 6, gpus=1)
    rigid = come(field, job("rigid", hours=3, deadline_hours=12))
    assert rigid.ahead[0].start == 6 * H
    assert bring_forward(field, [rigid], 6, H, 0.0) == pytest.approx(3 * H)
    assert rigid.ahead[-1].end <= 6 * H


def test_equal_arrivals_make_equal_plans() -> None:
    def plan() -> list[list[int]]:
        field = a_field(np.random.default_rng(5).uniform(50, 500, 60).tolist(), gpus=3)
        jobs = [job(f"j{n}", 2 + n % 5, 30 + n, mode=PAUSES, power_kw=1 + n % 3) for n in range(12)]
        return [hours_of(come(field, one)) for one in jobs]

    assert plan() == plan()
