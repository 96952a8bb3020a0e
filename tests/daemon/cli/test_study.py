"""`lowtide study` as people and programs meet it; it needs no daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon.cli import build_app
from daemon.cli.study_tables import show_short_runs
from daemon.study.cases import Case
from daemon.study.short_runs import Block, extrapolate

Study = Callable[..., Result]


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(build_app(), ["study", *arguments])


def test_every_section_is_printed_beside_the_paper(study: Study) -> None:
    result = study()
    assert result.exit_code == 0, result.stderr
    for words in (
        "Fig. 1: image sizes",
        "362 +- 1.00",
        "Fig. 2: model sizes",
        "Table 1 and Fig. 3a",
        "Fig. 3b: synthesis of 192 x 192 x 192 by month, DE",
        "Fig. 4a",
        "same batch per GPU (1)",
        "Fig. 4b",
        "-80.0%",
        "Equivalents",
        "Calibration (not validation)",
        "What the paper claims",
        "printed 3,345 km; from its own numbers 3,348 km",
        "Where the paper disagrees with itself",
        "+- is the standard deviation of one step times their number",
        "inferred: least relative squares",
    ):
        assert words in result.stdout


def test_programs_get_one_document_for_any_hardware_file(study: Study, tmp_path: Path) -> None:
    from jobs.energy.hardware import bundled_profiles

    profile = bundled_profiles()["generic-cpu"].model_copy(update={"key": "the cpu under my desk"})
    path = tmp_path / "my cpu.json"
    path.write_text(profile.model_dump_json())
    result = study("--hardware", str(path), "--size", "small", "--json")
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert (made["hardware"], made["size"], made["short_runs"]) == ("the cpu under my desk", "small", [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hardware", "h900"], "--hardware h900: neither a bundled profile (a100-sxm4-40gb, generic-cpu"),
        (["--size", "huge"], "--size huge: there is no such size, choose one of tiny, small, medium, large"),
        (["--monthly", "nowhere.csv"], "--monthly nowhere.csv: cannot be read (No such file or directory)"),
    ],
)
def test_a_mistake_in_the_command_ends_with_2_and_one_sentence(study: Study, arguments: list[str], words: str) -> None:
    result = study(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_broken_profile_file_names_the_fault(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"format": 1}')
    result = study("--hardware", str(path))
    assert result.exit_code == 2
    assert "lowtide profile" in result.stderr


def test_pictures_go_into_the_folder_and_a_file_in_its_place_is_one_sentence(study: Study, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert len(list((tmp_path / "made").glob("*.png"))) == 0
    assert study("--plots", str(tmp_path / "made")).exit_code == 0
    assert len(list((tmp_path / "made").glob("*.png"))) == 6
    result = study("--plots", str(tmp_path / "taken"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_short_run_stands_beside_the_papers_only_where_image_and_model_are_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    blocks = [Block(1, 1.0, 40.0), Block(1, 1.0, 44.0)]
    cases = [Case("training", (512, 512)), Case("training", (256, 256)), Case("training", (512, 512), "tiny")]
    show_short_runs([extrapolate(case, blocks, [], "estimated") for case in cases])
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    large, unprinted, tiny = (index for index, line in enumerate(lines) if "training, " in line)
    assert all(lines[index].count("+-") == 2 for index in (large, unprinted, tiny)), "watts and our kg"
    assert "0.790 +- 0.200" in lines[large + 1]
    assert lines[unprinted + 1].count("+-") == lines[tiny + 1].count("+-") == 0
    assert "2 x 1 steps" in lines[large + 1]
    assert "Figs. 2 to 4 above come from the hardware profile" in shown


def test_short_runs_fit_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    blocks = [Block(100, 12.3, 4567.8), Block(100, 13.2, 4321.0)]
    show_short_runs([extrapolate(Case("synthesis", (256, 256, 192)), blocks, [], "estimated")])
    shown = capsys.readouterr().out
    table = shown[: shown.index("The paper's kg")]
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 80
    assert "362 +- 1.00" in table


@pytest.mark.slow
def test_short_runs_on_this_machine_stand_beside_the_study(study: Study) -> None:
    result = study("--measure", "--seconds", "0.5", "--json")
    assert result.exit_code == 0, result.stderr
    runs = json.loads(result.stdout)["short_runs"]
    assert len(runs) == 16
    measured = [run for run in runs if "watts" in run]
    assert {run["phase"] for run in measured} == {"training", "synthesis"}
    assert all(run["machine_kwh"] > 0 and run["sd_kg"] >= 0 for run in measured)
    assert all("give it more than" in run["reason"] for run in runs if run not in measured)
