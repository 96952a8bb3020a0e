"""What is handed over: the wheel, the compose file, the container file and the unit name things that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from daemon.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.mark.slow
def test_the_wheel_carries_code_and_data_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {str(path.relative_to(ROOT)) for folder in ("daemon", "jobs", "forecast") for path in data_files(ROOT / folder)}
    assert data
    assert data <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"daemon", "jobs", "forecast"}


def data_files(folder: Path) -> list[Path]:
    """Files git knows that are no Python."""
    listed = subprocess.run(["git", "ls-files", "-z", "."], cwd=folder, capture_output=True, text=True, check=True).stdout
    return [folder / name for name in listed.split("\0") if name and not name.endswith(".py")]


def test_the_compose_file_mounts_what_exists_and_scrapes_the_service_it_starts() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).exists(), source
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    host, port = scraped["static_configs"][0]["targets"][0].split(":")
    assert host in compose["services"]
    assert compose["services"][host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert Path(scraped["authorization"]["credentials_file"]).name in compose["secrets"]
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert re.match(r"http://(\w+):9090", source["url"]).group(1) in compose["services"]  # type: ignore[union-attr]  # no match fails the test as well


def test_the_tokens_of_compose_file_and_runbook_are_what_the_daemon_takes() -> None:
    environment = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["lowtide"]["environment"]
    filled = re.sub(r"\$\{(\w+):\?[^}]*\}", r"\1-0123456789", environment["LOWTIDE_SERVER__TOKENS"])
    tokens = Settings.model_validate({"server": {"tokens": json.loads(filled)}}).server.tokens
    assert {scope for token in tokens for scope in token.scopes} == {"read", "submit", "admin"}
    (example,) = re.findall(r"^```toml\n(.*?)^```", (DEPLOY / "runbook.md").read_text(), re.MULTILINE | re.DOTALL)
    written = Settings.model_validate(tomllib.loads(example))
    assert set(written.projects) < written.server.tokens[0].projects


def test_the_container_file_copies_what_exists_and_pins_the_same_torch_as_the_makefile() -> None:
    container, makefile = (DEPLOY / "Containerfile").read_text(), (ROOT / "Makefile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", container, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    (pinned,) = {*re.findall(r"torch==[\d.]+", container), *re.findall(r"torch==[\d.]+", makefile)}
    assert f'"{pinned}"' in (ROOT / "pyproject.toml").read_text()


def test_the_settings_it_ships_load() -> None:
    assert load_settings(DEPLOY / "lowtide.toml").settings.home == "heidelberg"


def test_the_unit_leaves_running_work_alone_when_the_daemon_stops() -> None:
    unit = (DEPLOY / "systemd" / "lowtide.service").read_text()
    assert "KillMode=process" in unit
    assert re.search(r"^ExecStart=\S*lowtide serve ", unit, re.MULTILINE)
