"""From energy records to purposes: nothing is lost, and what was done twice, for nothing or for a restart is told apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.accounting import JOULES_PER_KWH, Place, Purpose, Slice
from daemon.domain.job import Attempt
from daemon.domain.states import AttemptState
from daemon.domain.usage import AttemptUsage, GridTime, RunUsage, slices_of_run
from jobs.rundir import EnergyRecord, Phase

START = datetime(2024, 3, 4, tzinfo=UTC)
PLACE = Place("home", "DE", 1.5)
LIVE = GridTime(lambda real: real)
WATTS = 100.0


def record(
    attempt: str, begin: float, seconds: float, steps: tuple[int, int], phase: Phase = "work", joules: float | None = None
) -> EnergyRecord:
    return EnergyRecord(
        attempt_id=attempt,
        start=START + timedelta(seconds=begin),
        end=START + timedelta(seconds=begin + seconds),
        joules={"cpu": WATTS * seconds if joules is None else joules},
        provenance={"cpu": "measured"},
        phase=phase,
        step_from=steps[0],
        step_to=steps[1],
    )


def attempt(name: str, state: AttemptState, ended: float, records: list[EnergyRecord]) -> AttemptUsage:
    ended_at = START + timedelta(seconds=ended)
    return AttemptUsage(Attempt(name, "r", "j", "home", 1, state, START, ended_at=ended_at), tuple(records))


def joules_by_purpose(slices: list[Slice]) -> dict[str, float]:
    sums = {purpose.value: 0.0 for purpose in Purpose}
    for piece in slices:
        sums[piece.purpose.value] += piece.kwh * JOULES_PER_KWH
    return {purpose: round(joules, 6) for purpose, joules in sums.items()}


def of(*attempts: AttemptUsage, kept: int, first: bool = True, time: GridTime = LIVE) -> dict[str, float]:
    return joules_by_purpose(slices_of_run(RunUsage(PLACE, attempts, kept), time, first_startup_is_useful=first))


def test_an_uninterrupted_run_is_useful_from_start_up_to_shutdown() -> None:
    records = [record("a", 0, 4, (0, 0), "startup"), record("a", 4, 60, (0, 10)), record("a", 64, 1, (10, 10), "shutdown")]
    assert of(attempt("a", AttemptState.COMPLETED, 65, records), kept=10) == {"useful": 6500.0, "waste": 0.0, "overhead": 0.0}


def test_steps_done_again_after_a_kill_are_waste_and_the_second_start_up_is_overhead() -> None:
    killed = attempt("a", AttemptState.PREEMPTED, 64, [record("a", 0, 4, (0, 0), "startup"), record("a", 4, 60, (0, 10))])
    resumed = [record("b", 100, 4, (6, 6), "startup"), record("b", 104, 24, (6, 10))]
    again = attempt("b", AttemptState.COMPLETED, 128, resumed)
    # of the first 60 s, steps 0-6 were kept (36 s) and 6-10 done again (24 s)
    assert of(killed, again, kept=10) == {"useful": 400.0 + 3600 + 2400, "waste": 2400.0, "overhead": 400.0}


def test_a_run_whose_result_was_thrown_away_is_waste_but_for_its_start_up() -> None:
    records = [record("a", 0, 4, (0, 0), "startup"), record("a", 4, 60, (0, 10))]
    assert of(attempt("a", AttemptState.FAILED, 64, records), kept=0) == {"useful": 0.0, "waste": 6000.0, "overhead": 400.0}


def test_the_time_between_the_last_record_and_a_kill_is_filled_at_the_last_power_and_marked_estimated() -> None:
    usage = attempt("a", AttemptState.PREEMPTED, 94, [record("a", 0, 4, (0, 0), "startup"), record("a", 4, 60, (0, 10))])
    slices = slices_of_run(RunUsage(PLACE, (usage,), 10), LIVE, first_startup_is_useful=True)
    assert slices[-1].provenance == "estimated"
    assert slices[-1].purpose is Purpose.WASTE
    assert slices[-1].interval.end == START + timedelta(seconds=94)
    assert slices[-1].kwh * JOULES_PER_KWH == pytest.approx(30 * WATTS)


def test_in_a_replay_joules_stay_and_hours_stretch() -> None:
    stretched = GridTime(lambda real: START + (real - START) * 900, 900.0)
    records = (record("a", 0, 4, (0, 0), "startup"), record("a", 4, 6, (0, 10)))
    ended = Attempt("a", "r", "j", "home", 1, AttemptState.PREEMPTED, START, ended_at=START + timedelta(seconds=12 * 900))
    slices = slices_of_run(RunUsage(PLACE, (AttemptUsage(ended, records),), 10), stretched, first_startup_is_useful=True)
    assert sum(piece.kwh for piece in slices) * JOULES_PER_KWH == pytest.approx(12 * WATTS)  # 2 s of them filled in
    assert slices[0].interval.seconds == pytest.approx(4 * 900)
    assert slices[-1].interval.end == ended.ended_at


def test_pausing_as_planned_is_overhead_and_dying_is_waste() -> None:
    records = [record("a", 0, 4, (0, 0), "startup"), record("a", 4, 60, (0, 10)), record("a", 64, 2, (10, 10), "checkpoint")]
    assert of(attempt("a", AttemptState.SUSPENDED, 66, records), kept=10)["overhead"] == 200.0
    assert of(attempt("a", AttemptState.PREEMPTED, 66, records), kept=10)["waste"] == 200.0


def test_a_component_without_a_reading_is_missing_and_not_zero() -> None:
    silent = replace_joules(record("a", 0, 10, (0, 5)), {})
    assert (
        slices_of_run(RunUsage(PLACE, (attempt("a", AttemptState.COMPLETED, 10, [silent]),), 5), LIVE, first_startup_is_useful=True) == []
    )


def replace_joules(one: EnergyRecord, joules: dict[str, float]) -> EnergyRecord:
    return one.model_copy(update={"joules": joules, "provenance": {}})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[AttemptUsage], int]:
    """Attempts one after the other, each going on from some step at or before the one the last had reached."""
    instant, reached, attempts = 0.0, 0, []
    count = draw(st.integers(min_value=1, max_value=4))
    for number in range(count):
        name, resumed = f"a{number}", draw(st.integers(min_value=0, max_value=reached))
        records = [record(name, instant, 4, (resumed, resumed), "startup")]
        instant, step = instant + 4, resumed
        for _ in range(draw(st.integers(min_value=0, max_value=3))):
            seconds, steps = draw(st.integers(min_value=1, max_value=30)), draw(st.integers(min_value=0, max_value=5))
            records.append(record(name, instant, seconds, (step, step + steps)))
            instant, step = instant + seconds, step + steps
        reached = step
        state = AttemptState.COMPLETED if number == count - 1 else draw(st.sampled_from([AttemptState.PREEMPTED, AttemptState.SUSPENDED]))
        attempts.append(attempt(name, state, instant, records))
        instant += draw(st.integers(min_value=0, max_value=100))
    return attempts, draw(st.sampled_from([0, reached]))


@given(histories(), st.booleans())
def test_every_joule_is_counted_once_whatever_its_purpose(history: tuple[list[AttemptUsage], int], first: bool) -> None:
    attempts, kept = history
    metered = sum(one.total_joules for usage in attempts for one in usage.records)
    assert sum(of(*attempts, kept=kept, first=first).values()) == pytest.approx(metered, abs=1e-5)


@given(histories())
def test_useful_work_is_each_kept_step_once(history: tuple[list[AttemptUsage], int]) -> None:
    """Give every step a joule: what is useful is then the number of steps kept."""
    attempts, _ = history
    counted = [
        replace(
            usage,
            records=tuple(replace_energy(one, float(one.step_to - one.step_from)) for one in usage.records if one.phase == "work"),
        )
        for usage in attempts
    ]
    kept = max((one.step_to for one in counted[-1].records), default=0)
    if kept:
        assert of(*counted, kept=kept)["useful"] == pytest.approx(kept, abs=1e-5)


def replace_energy(one: EnergyRecord, joules: float) -> EnergyRecord:
    return one.model_copy(update={"joules": {"cpu": joules}})
