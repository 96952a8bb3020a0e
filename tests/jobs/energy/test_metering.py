from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.metering import RunMeter
from jobs.energy.source import PowerSource
from jobs.rundir import EnergyRecord, Phase, Provenance, RunDirectory
from jobs.spec import MeteringSpec
from tests.jobs.energy.fakes import ConstantPower, WallClock

PHASES: tuple[Phase, ...] = get_args(Phase)


def meter_of(path: Path, clock: WallClock, *sources: ConstantPower) -> RunMeter:
    """A meter whose thread is not started: what it records then depends on marks and the clock alone."""
    return meter_into(RunDirectory(path), clock, *sources)


def meter_into(directory: RunDirectory, clock: WallClock, *sources: PowerSource) -> RunMeter:
    metering = MeteringSpec(interval_seconds=600)
    return RunMeter(directory, metering, "attempt-1", sources=sources, now=clock, elapsed_seconds=clock.elapsed_seconds)


@given(
    moves=st.lists(st.tuples(st.sampled_from(PHASES), st.integers(0, 3), st.integers(0, 5000)), max_size=25),
    resumed_at=st.integers(0, 100),
)
def test_records_follow_each_other_without_gap_or_overlap_and_hold_all_joules(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[Phase, int, int]], resumed_at: int
) -> None:
    clock = WallClock()
    start = clock()
    path = tmp_path_factory.mktemp("run")
    meter = meter_of(path, clock, ConstantPower(clock, 50.0), ConstantPower(clock, 7.0, "gpu0"))
    step = resumed_at
    for phase, steps, milliseconds in moves:
        step += steps
        meter.mark(phase, step)
        clock.advance(milliseconds / 1000)
    meter.close()
    records = RunDirectory(path).energy()

    assert all(before.end == after.start for before, after in pairwise(records))
    assert all(record.start < record.end for record in records)
    elapsed = (clock() - start).total_seconds()
    assert sum(record.seconds for record in records) == pytest.approx(elapsed)
    assert sum(record.joules["cpu"] for record in records) == pytest.approx(50 * elapsed)
    assert sum(record.joules["gpu0"] for record in records) == pytest.approx(7 * elapsed)
    assert all(record.step_from <= record.step_to for record in records)
    assert all(record.step_from == record.step_to for record in records if record.phase != "work")


def test_a_resumed_run_does_not_book_its_earlier_steps_to_the_start_up(tmp_path: Path) -> None:
    clock = WallClock()
    meter = meter_of(tmp_path, clock, ConstantPower(clock, 10.0))
    clock.advance(3)
    meter.mark("work", 120)
    clock.advance(5)
    meter.mark("work", 125)
    clock.advance(1)
    meter.mark("checkpoint", 126)
    clock.advance(2)
    meter.close()

    assert [(record.phase, record.step_from, record.step_to, record.total_joules) for record in RunDirectory(tmp_path).energy()] == [
        ("startup", 120, 120, 30.0),
        ("work", 120, 126, 60.0),
        ("checkpoint", 126, 126, 20.0),
    ]


@given(moves=st.lists(st.tuples(st.floats(0.002, 5000), st.sampled_from([0, 0, 0.3, -0.3, 3600, -3600, -86400, 1e9])), max_size=25))
def test_a_clock_that_is_set_costs_no_joule_and_no_second_of_work(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[float, float]]
) -> None:
    clock = WallClock()
    path = tmp_path_factory.mktemp("run")
    meter = meter_of(path, clock, ConstantPower(clock, 25.0))
    for number, (seconds, set_by) in enumerate(moves):
        clock.set_by(set_by)
        clock.advance(seconds)
        meter.mark("work" if number % 2 else "checkpoint", number)
    meter.close()
    records = RunDirectory(path).energy()

    assert all(record.start < record.end for record in records)
    assert all(record.total_joules == pytest.approx(25.0 * record.seconds, abs=1e-3) for record in records)
    assert sum(record.seconds for record in records) == pytest.approx(sum(seconds for seconds, _ in moves), abs=1e-3)


def test_records_after_a_clock_was_set_begin_where_it_was_set_to(tmp_path: Path) -> None:
    clock = WallClock()
    meter = meter_of(tmp_path, clock, ConstantPower(clock, 25.0))
    begun = clock()
    clock.advance(4)
    clock.set_by(-3600)
    meter.mark("work", 0)
    clock.advance(2)
    meter.mark("shutdown", 1)
    clock.advance(1)
    meter.close()

    first, *others = RunDirectory(tmp_path).energy()
    assert (first.start - begun, first.seconds) == (timedelta(0), 4)
    assert [record.start - begun for record in others] == [timedelta(seconds=-3596), timedelta(seconds=-3594)]
    assert others[-1].end == clock()


class Failing:
    """A driver that throws whatever it likes until it recovers."""

    provenance: Provenance = "measured"

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.readings = 0
        self.recovered = threading.Event()

    def joules_since_last(self) -> Mapping[str, float]:
        self.readings += 1
        if self.left > 0:
            self.left -= 1
            raise RuntimeError("driver gone")
        self.recovered.set()
        return {"gpu0": 5.0}

    def close(self) -> None:
        raise RuntimeError("driver still gone")


def test_a_source_that_throws_is_unknown_not_zero_and_never_reaches_the_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = WallClock()
    failing = Failing(failures=1)
    meter = meter_into(RunDirectory(tmp_path), clock, failing, ConstantPower(clock, 10.0))
    clock.advance(1)
    meter.mark("work", 0)
    clock.advance(1)
    meter.mark("shutdown", 1)
    meter.close()
    first, second = RunDirectory(tmp_path).energy()

    assert first.joules == {"cpu": 10.0}
    assert first.provenance == {"cpu": "measured"}
    assert second.joules == {"gpu0": 5.0, "cpu": 10.0}
    assert "driver gone" in caplog.text
    assert "could not be closed" in caplog.text


def test_without_any_source_the_time_is_recorded_and_the_energy_is_missing(tmp_path: Path) -> None:
    clock = WallClock()
    meter = meter_of(tmp_path, clock)
    clock.advance(2)
    meter.close()

    (record,) = RunDirectory(tmp_path).energy()
    assert record.seconds == 2
    assert record.joules == {}


def test_the_thread_writes_an_interval_by_itself_while_the_work_goes_on(tmp_path: Path) -> None:
    written = threading.Event()

    class Directory(RunDirectory):
        def append_energy(self, record: EnergyRecord) -> None:
            super().append_energy(record)
            written.set()

    with RunMeter(Directory(tmp_path), MeteringSpec(interval_seconds=0.01, meter="simulated", simulated_watts=100), "a"):
        assert written.wait(timeout=30)
        assert RunDirectory(tmp_path).energy()[0].provenance == {"simulated": "simulated"}


def test_a_driver_that_fails_on_the_thread_recovers_without_the_work_noticing(tmp_path: Path) -> None:
    failing = Failing(failures=3)
    with RunMeter(RunDirectory(tmp_path), MeteringSpec(interval_seconds=0.01), "a", sources=[failing]) as meter:
        meter.mark("work", 1)
        assert failing.recovered.wait(timeout=30)
    assert failing.readings > 3


def test_records_that_cannot_be_written_wait_and_are_written_in_order_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class FullForAWhile(RunDirectory):
        full = True

        def append_energy(self, record: EnergyRecord) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().append_energy(record)

    clock = WallClock()
    directory = FullForAWhile(tmp_path)
    meter = meter_into(directory, clock, ConstantPower(clock, 1.0))
    for phase in ("work", "checkpoint", "work"):
        clock.advance(1)
        meter.mark(phase, 0)
    meter._write_waiting()
    FullForAWhile.full = False
    clock.advance(1)
    meter.close()

    assert [record.phase for record in directory.energy()] == ["startup", "work", "checkpoint", "work"]
    assert "No space left" in caplog.text


def test_records_lost_for_good_are_counted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    clock = WallClock()
    meter = meter_of(blocker / "run", clock, ConstantPower(clock, 1.0))
    clock.advance(1)
    meter.close()

    assert "1 energy records could not be written" in caplog.text


def test_closing_twice_and_marking_later_change_nothing(tmp_path: Path) -> None:
    clock = WallClock()
    source = ConstantPower(clock, 1.0)
    meter = meter_of(tmp_path, clock, source)
    clock.advance(1)
    meter.close()
    clock.advance(1)
    meter.mark("work", 9)
    meter.close()

    assert len(RunDirectory(tmp_path).energy()) == 1
    assert source.closed
