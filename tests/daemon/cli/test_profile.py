"""`lowtide profile` as people and programs meet it; it needs no daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon.cli import build_app
from jobs.energy import carbontracker_bridge, grids, measuring, profiling
from jobs.energy.configuration import Configuration
from jobs.energy.hardware import MeasuredStep, profile_for
from jobs.spec import ModelSpec
from tests.jobs.energy.builders import FREE

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
    assert "denoise, 2D tiny 16x16" in result.stdout
    assert f'hardware = "{output}"' in result.stdout.replace("\n", "")
    own = profile_for(str(output))
    assert own.tdp_watts == 120
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
