"""The README is true: its commands run, its tables are the code's, what it shows exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from daemon.cli import build_app
from tests.documented import limits_table, metrics_table, settings_table
from tests.processes import RunningDaemon, daemon_process

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """(command, the output shown for it) of every console block."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


@pytest.mark.parametrize("table", [settings_table, metrics_table, limits_table], ids=["settings", "metrics", "limits"])
def test_the_tables_are_those_of_the_code(table: Any) -> None:
    assert "\n".join(table()) in README, "print the tables with `python -m tests.documented`"


def test_every_command_and_target_it_names_exists() -> None:
    app = typer.main.get_command(build_app())
    assert isinstance(app, typer.core.TyperGroup)
    named = set(re.findall(r"`(?:\.venv/bin/)?lowtide ([a-z-]+)", README)) | set(re.findall(r"^\$ lowtide ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= set(app.commands)
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_every_file_and_anchor_it_links_to_exists() -> None:
    anchors = {"#" + re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target in anchors or (ROOT / target).exists(), target


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """The daemon with the README's own settings, and its `job.json`."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "lowtide.toml").write_text(blocks("toml")[0])
    (folder / "job.json").write_text(blocks("json")[0])
    with daemon_process(folder) as running:
        yield running


def test_its_commands_run_as_written_and_answer_as_shown(daemon: RunningDaemon) -> None:
    script = ["set -eu", 'answered() { echo "@@@"; }']
    for command, _ in commands():
        script += [command.replace("http://127.0.0.1:8765", daemon.url), "echo", "answered"]
    environment = os.environ | {"LOWTIDE_URL": daemon.url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=daemon.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    answers = done.stdout.split("@@@\n")
    for (command, shown), answer in zip(commands(), answers, strict=False):
        if shown.startswith("{"):
            missing = set(re.findall(r'"([a-z_0-9]+)":', shown)) - keys(json.loads(answer))
            assert not missing, f"{command}: {missing}"


def keys(document: Any) -> set[str]:
    """Every key anywhere in a JSON document."""
    if isinstance(document, dict):
        return set(document) | {key for value in document.values() for key in keys(value)}
    return {key for item in document for key in keys(item)} if isinstance(document, list) else set()


def test_the_job_it_shows_can_be_read_as_json() -> None:
    assert json.loads(blocks("json")[0])["workload"]["kind"] == "training"
