"""From energy records to purposes: nothing is lost, and what was done twice, for nothing or for a restart is told apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.accounting import JOULES_PER_KWH, Conversion, Place, Purpose, Slice, home_profile
from daemon.domain.job import Attempt
from daemon.domain.states import AttemptState
from daemon.domain.usage import AttemptUsage, GridTime, RunUsage, slices_of_run
from jobs.rundir import EnergyRecord, Phase, Provenance

START = datetime(2024, 3, 4, tzinfo=UTC)
PLACE = Place("home", "DE", 1.5)
LIVE = GridTime(lambda real: real)
WATTS = 100.0
EXPECTED_WATTS = 70.0
MIXED: dict[str, Provenance] = {"cpu": "estimated", "gpu0": "measured"}


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
    return joules_by_purpose(slices_of_run(RunUsage(PLACE, attempts, kept, EXPECTED_WATTS), time, first_startup_is_useful=first))


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
    slices = slices_of_run(RunUsage(PLACE, (usage,), 10, EXPECTED_WATTS), LIVE, first_startup_is_useful=True)
    assert slices[-1].provenance == {"estimated": 1.0}
    assert slices[-1].purpose is Purpose.WASTE
    assert slices[-1].interval.end == START + timedelta(seconds=94)
    assert slices[-1].kwh * JOULES_PER_KWH == pytest.approx(30 * WATTS)


def test_in_a_replay_joules_stay_and_hours_stretch() -> None:
    stretched = GridTime(lambda real: START + (real - START) * 900, 900.0)
    records = (record("a", 0, 4, (0, 0), "startup"), record("a", 4, 6, (0, 10)))
    ended = Attempt("a", "r", "j", "home", 1, AttemptState.PREEMPTED, START, ended_at=START + timedelta(seconds=12 * 900))
    slices = slices_of_run(RunUsage(PLACE, (AttemptUsage(ended, records),), 10, EXPECTED_WATTS), stretched, first_startup_is_useful=True)
    assert sum(piece.kwh for piece in slices) * JOULES_PER_KWH == pytest.approx(12 * WATTS)  # 2 s of them filled in
    assert slices[0].interval.seconds == pytest.approx(4 * 900)
    assert slices[-1].interval.end == ended.ended_at


def test_pausing_as_planned_is_overhead_and_dying_is_waste() -> None:
    records = [record("a", 0, 4, (0, 0), "startup"), record("a", 4, 60, (0, 10)), record("a", 64, 2, (10, 10), "checkpoint")]
    assert of(attempt("a", AttemptState.SUSPENDED, 66, records), kept=10)["overhead"] == 200.0
    assert of(attempt("a", AttemptState.PREEMPTED, 66, records), kept=10)["waste"] == 200.0


def unmetered_seconds(slices: list[Slice]) -> float:
    return sum(piece.interval.seconds for piece in slices if not piece.is_metered)


def test_an_attempt_without_any_reading_draws_what_it_was_expected_to_and_not_nothing() -> None:
    silent = replace_joules(record("a", 0, 10, (0, 5)), {})
    usage = RunUsage(PLACE, (attempt("a", AttemptState.COMPLETED, 10, [silent]),), 5, EXPECTED_WATTS)
    (piece,) = slices_of_run(usage, LIVE, first_startup_is_useful=True)
    assert piece.kwh * JOULES_PER_KWH == pytest.approx(10 * EXPECTED_WATTS)
    assert (piece.purpose, piece.provenance, piece.is_metered) == (Purpose.USEFUL, {"estimated": 1.0}, False)


def test_sources_that_fail_for_good_are_taken_to_go_on_at_their_last_power() -> None:
    records = [record("a", 0, 10, (0, 5)), replace_joules(record("a", 10, 20, (5, 15)), {})]
    usage = RunUsage(PLACE, (attempt("a", AttemptState.COMPLETED, 30, records),), 15, EXPECTED_WATTS)
    slices = slices_of_run(usage, LIVE, first_startup_is_useful=True)
    assert [round(piece.kwh * JOULES_PER_KWH, 6) for piece in slices] == [10 * WATTS, 20 * WATTS]
    assert [piece.provenance for piece in slices] == [{"measured": 1.0}, {"estimated": 1.0}]
    assert unmetered_seconds(slices) == 20


def test_one_source_that_fails_for_good_is_filled_in_beside_those_that_work() -> None:
    both = record("a", 0, 10, (0, 5)).model_copy(update={"joules": {"cpu": 300.0, "gpu0": 2000.0}, "provenance": MIXED})
    cpu_only = record("a", 10, 10, (5, 10)).model_copy(update={"joules": {"cpu": 400.0}, "provenance": {"cpu": "estimated"}})
    usage = RunUsage(PLACE, (attempt("a", AttemptState.COMPLETED, 20, [both, cpu_only]),), 10, EXPECTED_WATTS)
    first, second = slices_of_run(usage, LIVE, first_startup_is_useful=True)
    assert second.kwh * JOULES_PER_KWH == pytest.approx(400 + 2000)
    assert (first.is_metered, second.is_metered) == (True, False)


def test_components_of_different_provenance_share_one_slice_so_that_time_is_counted_once() -> None:
    mixed = record("a", 0, 10, (0, 5)).model_copy(update={"joules": {"cpu": 250.0, "gpu0": 750.0}, "provenance": MIXED})
    usage = RunUsage(PLACE, (attempt("a", AttemptState.COMPLETED, 10, [mixed]),), 5, EXPECTED_WATTS)
    (piece,) = slices_of_run(usage, LIVE, first_startup_is_useful=True)
    assert piece.kwh_by("measured") * JOULES_PER_KWH == pytest.approx(750)
    assert piece.kwh_by("estimated") * JOULES_PER_KWH == pytest.approx(250)
    assert home_profile([piece], {"home": Conversion()}).seconds == 10


def test_what_a_source_tells_late_is_not_filled_in_a_second_time() -> None:
    """A reading after failed ones holds what they missed (jobs.energy.source)."""
    records = [
        record("a", 0, 10, (0, 5)),
        replace_joules(record("a", 10, 30, (5, 20)), {}),
        record("a", 40, 10, (20, 25), joules=40 * WATTS),
    ]
    usage = RunUsage(PLACE, (attempt("a", AttemptState.COMPLETED, 50, records),), 25, EXPECTED_WATTS)
    slices = slices_of_run(usage, LIVE, first_startup_is_useful=True)
    assert [round(piece.kwh * JOULES_PER_KWH, 6) for piece in slices] == [10 * WATTS, 30 * WATTS, 10 * WATTS]
    assert unmetered_seconds(slices) == 0


def test_an_attempt_killed_before_its_first_record_has_drawn_what_it_was_expected_to() -> None:
    killed = attempt("a", AttemptState.PREEMPTED, 3, [])
    killed = replace(killed, attempt=replace(killed.attempt, started_at=START + timedelta(seconds=1)))
    (piece,) = slices_of_run(RunUsage(PLACE, (killed,), 0, EXPECTED_WATTS), LIVE, first_startup_is_useful=True)
    assert piece.kwh * JOULES_PER_KWH == pytest.approx(2 * EXPECTED_WATTS)
    assert (piece.purpose, piece.is_metered) == (Purpose.WASTE, False)


def test_an_attempt_that_never_started_has_drawn_nothing() -> None:
    refused = attempt("a", AttemptState.FAILED, 600, [])
    assert slices_of_run(RunUsage(PLACE, (refused,), 0, EXPECTED_WATTS), LIVE, first_startup_is_useful=True) == []


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
