"""`lowtide profile` as people and programs meet it; it needs no daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon.cli import build_app
from daemon.cli.output import number
from daemon.cli.profile import _show as show
from jobs.energy import carbontracker_bridge, grids, measuring, profiling
from jobs.energy.configuration import Configuration
from jobs.energy.flops import OPERATIONS
from jobs.energy.hardware import CounterCheck, HardwareProfile, MeasuredStep, profile_for
from jobs.spec import ModelSpec
from tests.jobs.energy.builders import FREE
from tests.jobs.energy.builders import profile as gpu_profile

Profile = Callable[..., Result]
SMALLEST = ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16))


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The command on a grid of two steps; looking for device names and timing a fresh process, which take seconds, are spared."""
    monkeypatch.setenv("COLUMNS", "200")
    grid = [Configuration("denoise", SMALLEST), Configuration("decode", SMALLEST)]
    monkeypatch.setattr(grids, "standard_grid", lambda *_: grid)
    monkeypatch.setattr(grids, "comparison_grid", lambda *_: [])
    monkeypatch.setattr(carbontracker_bridge, "device_names", lambda: ["Some CPU (R) 9000"])
    monkeypatch.setattr(profiling, "device_names", lambda: ["Some CPU (R) 9000"])
    monkeypatch.setattr("gc.collect", lambda: 0)
    monkeypatch.setattr(measuring, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(profiling, "_startup", lambda _: (1.0, None))
    monkeypatch.setattr(profiling, "measure_checkpoint", lambda *_: FREE)
    monkeypatch.setattr(profiling, "measure_preparation", lambda *_: FREE)
    return lambda *arguments: CliRunner().invoke(build_app(), ["profile", *arguments])


def test_a_measured_machine_can_be_named_as_a_sites_hardware(profile: Profile, tmp_path: Path) -> None:
    output = tmp_path / "our machine.json"
    result = profile("--output", str(output), "--tdp-watts", "120")

    assert result.exit_code == 0, result.stderr
    assert "denoise 2D tiny 16x16 f4 x1" in result.stdout
    assert f'hardware = "{output}"' in result.stdout.replace("\n", "")
    own = profile_for(str(output))
    assert own.tdp_watts == 120
    assert all(f"~{number(step.seconds * own.busy_watts(1))}" in result.stdout for step in own.measured), "no counter, so it is an estimate"
    assert len(own.measured) == 2


def test_the_hardware_is_called_after_its_first_device_unless_told_otherwise(profile: Profile, tmp_path: Path) -> None:
    named = profile("-o", str(tmp_path / "a.json"), "--json")
    told = profile("-o", str(tmp_path / "b.json"), "--key", "rack-7", "--json")

    assert json.loads(named.stdout)["key"] == "some-cpu-r-9000"
    assert json.loads(told.stdout)["key"] == "rack-7"


def test_what_was_skipped_is_told_with_the_reason(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(configuration: Configuration, *_: object) -> MeasuredStep:
        if configuration.work == "denoise":
            raise MemoryError
        return MeasuredStep(configuration=configuration, seconds=0.1, spread=0.0, steps=10)

    monkeypatch.setattr(profiling, "measure", short_of_memory)
    result = profile("-o", str(tmp_path / "a.json"))

    assert result.exit_code == 0
    assert "skipped: out of memory" in result.stderr


def test_a_machine_that_can_run_nothing_ends_with_a_sentence(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(configuration: Configuration, *_: object) -> MeasuredStep:
        raise MemoryError

    monkeypatch.setattr(profiling, "measure", short_of_memory)
    result = profile("-o", str(tmp_path / "a.json"))

    assert result.exit_code == 1
    assert "choose smaller ones" in result.stderr


def test_an_output_that_is_no_json_file_is_a_mistake_in_the_command(profile: Profile) -> None:
    result = profile("--output", "hardware.toml")

    assert result.exit_code == 2
    assert "call it hardware.json" in result.stderr


def test_without_torch_the_way_to_get_it_is_told(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.cli.profile.find_spec", lambda _: None)
    result = profile()

    assert result.exit_code == 1
    assert "pip install 'lowtide[ldm]'" in result.stderr


def test_interrupted_it_says_how_to_go_on_and_then_goes_on(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def interrupted_once(configuration: Configuration, *_: object) -> MeasuredStep:
        asked.append(configuration.work)
        if asked == ["denoise", "decode"]:
            raise KeyboardInterrupt
        return MeasuredStep(configuration=configuration, seconds=0.1, spread=0.0, steps=10)

    monkeypatch.setattr(profiling, "measure", interrupted_once)
    output = tmp_path / "a.json"
    stopped = profile("-o", str(output))
    resumed = profile("-o", str(output))

    assert stopped.exit_code == 130
    assert f"what was measured is kept, call it again with --output {output} to go on" in stopped.stderr
    assert resumed.exit_code == 0
    assert "going on where an interrupted profiling with this output stopped" in resumed.stderr
    assert asked == ["denoise", "decode", "decode"]
    assert "2 of 2 steps measured, this time in 0 min; others are estimated to within 42% (one deviation)" in resumed.stdout


def made_on_a_gpu() -> HardwareProfile:
    """The longest names there are, with counted joules and two counters that were checked."""
    large = ModelSpec(dimensions=3, size="large", image_shape=(256, 256, 192))
    steps = [
        MeasuredStep(
            configuration=Configuration(work, large, 8, "bfloat16", 16, options=("channels-last", "flash-attention")),
            seconds=12345.678,
            joules=1234567.8,
            spread=0.123,
            joules_spread=0.456,
            steps=10,
        )
        for work in OPERATIONS
    ]
    checks = [
        CounterCheck(component=f"gpu{index}", seconds=20.0, counted_joules=joules, integrated_joules=8000.0)
        for index, joules in enumerate((8010.0, 7000.0))
    ]
    return gpu_profile(measured=tuple(steps), counter_checks=tuple(checks))


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_of_steps_fits_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show(made_on_a_gpu(), Path("gpu.json"))
    printed = capsys.readouterr().out

    shown = printed[: printed.index("seconds: ")].splitlines()
    assert max(map(len, shown)) <= columns
    assert "…" not in printed
    for words in (
        "denoise 3D large 256x256x192 f4 x8",
        "12,345,678",
        "1,234,568",
        "12%, J 46%",
        "  bfloat16",
        "  16 threads",
        "  flash-attention",
    ):
        assert words in printed


def test_a_counter_that_was_checked_is_told_with_its_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    show(made_on_a_gpu(), Path("gpu.json"))
    printed = capsys.readouterr().out

    assert "gpu0: its energy counter told 8,010 J, its power readings integrate to 8,000 J over 20 s (+0.1%): they agree" in printed
    assert "(-12.5%): more than 2% apart, so its joules are in doubt" in printed
