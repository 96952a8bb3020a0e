"""`lowtide replay` serves recorded intensity over a real socket until it is stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.daemon.cli.conftest import Lowtide
from tests.processes import stop, wait_for

ROOT = Path(__file__).parents[3]


def test_it_answers_like_the_provider_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "daemon", "replay", "forecast/data/demo", "--speed", "60", "--start", "2023-09-05T03:00Z"]
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file)
    try:
        url = wait_for(lambda: re.search(r"http://\S+", output.read_text())).group(0)
        answer = httpx.get(f"{url}/carbon-intensity/latest", params={"zone": "DE"}, headers={"auth-token": "any"}, timeout=30.0).json()
        assert answer["zone"] == "DE"
        assert answer["datetime"].startswith("2023-09-05T0")
        assert answer["carbonIntensity"] > 0
    finally:
        assert stop(process) == 0


def test_files_that_make_no_replay_end_with_2_and_one_sentence(lowtide: Lowtide, tmp_path: Path) -> None:
    result = lowtide("replay", str(tmp_path / "nowhere.csv"))
    assert result.exit_code == 2
