"""The real Prometheus scrapes the real daemon, and every expression of dashboard and rules finds its data there."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.grafana.build import dashboards
from forecast.clock import Clock, real_now
from forecast.replay import Recording, ReplayServer
from tests.processes import daemon_process, stop, wait_for

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]]
READ_TOKEN = "read-token-for-prometheus"
GRID_START = datetime(2023, 9, 5, 3, tzinfo=UTC)
RATE = 600.0
SCRAPES_NEEDED = 4  # rates and increases need two, the rest is margin

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None, reason="Debian's package prometheus is not installed"
)


def expressions_of_dashboards() -> Iterator[tuple[str, str]]:
    """(panel title, PromQL) of every target of every committed dashboard."""
    for path in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield panel["title"], target["expr"]


def test_the_committed_dashboards_are_what_their_code_writes() -> None:
    for path, text in dashboards():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `make dashboards`"


def test_panels_have_descriptions_do_not_overlap_and_use_the_chosen_source() -> None:
    for _, text in dashboards():
        taken: set[tuple[int, int]] = set()
        board = json.loads(text)
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, panel["title"]
            assert place["x"] + place["w"] <= 24
            taken |= cells
            if panel["type"] != "row":
                assert panel["description"]
                assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_every_alert_has_a_section_in_the_runbook_and_a_summary() -> None:
    runbook = (ROOT / "deploy" / "runbook.md").read_text()
    for rule in RULES:
        if "alert" in rule:
            assert f"\n### {rule['alert']}\n" in runbook
            assert rule["annotations"]["summary"]


def test_every_alert_is_tried_by_the_rule_tests() -> None:
    tried = re.findall(r"alertname: (\w+)\s+exp_alerts", (PROMETHEUS / "rules_test.yml").read_text())
    assert set(tried) == {rule["alert"] for rule in RULES if "alert" in rule}


@needs_prometheus
@pytest.mark.service
@pytest.mark.parametrize(
    "arguments",
    [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"], ["check", "config", "--syntax-only", "prometheus.yml"]],
    ids=" ".join,
)
def test_promtool_accepts_rules_and_configuration(arguments: list[str]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Prometheus:
    http: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector; fails with Prometheus' own words if the expression is wrong."""
        answer = self.http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Replay service, daemon and Prometheus, each on a socket of its own."""
    folder = tmp_path_factory.mktemp("monitored")
    clock = Clock(real_now(), GRID_START, RATE)
    with ReplayServer(Recording.load([ROOT / "forecast" / "data" / "demo"]), clock.now) as replay:
        (folder / "lowtide.toml").write_text(settings_toml(replay.base_url, clock))
        with daemon_process(folder) as daemon, scraping(folder, daemon.url) as found:
            wait_for(lambda: True if enough_scraped(found) else None)
            yield found


def settings_toml(base_url: str, clock: Clock) -> str:
    return f"""
[electricity_maps]
base_url = "{base_url}"
token = "any"
requests_per_hour = 100000
[replay]
grid_start = {clock.grid_start.isoformat()}
real_start = {clock.real_start.isoformat()}
rate = {RATE}
[ticker]
tick_seconds = 0.5
latest_minutes = 0.02
settle_minutes = 0.02
[projects.ct]
budget_kg_per_month = 20
[[server.tokens]]
name = "prometheus"
token = "{READ_TOKEN}"
[[sites]]
name = "heidelberg"
zone = "DE"
[[sites]]
name = "umea"
zone = "SE"
"""


@contextmanager
def scraping(folder: Path, url: str) -> Iterator[Prometheus]:
    """A Prometheus with the committed rules and configuration, pointed at `url`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = configuration(folder, url)
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("wb") as log, httpx.Client(base_url=f"http://{address}", timeout=10.0) as http:
        process = subprocess.Popen(["prometheus", *arguments], stderr=log)
        try:
            wait_for(lambda: True if is_ready(http) else None)
            yield Prometheus(http)
        finally:
            stop(process)


def configuration(folder: Path, url: str) -> Path:
    """The committed configuration, quicker and with this test's daemon, rules and token."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(PROMETHEUS / "rules.yml")]
    job = config["scrape_configs"][0]
    job["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
    job["authorization"]["credentials_file"] = str(folder / "token")
    (folder / "token").write_text(READ_TOKEN)
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def enough_scraped(prometheus: Prometheus) -> bool:
    counted = prometheus.query('count_over_time(up{job="lowtide"}[1m]) and up{job="lowtide"} == 1')
    planned = prometheus.query("lowtide_planner_seconds_count > 1 and on (instance) lowtide_intensity_rung >= 0")
    return bool(planned) and bool(counted) and int(counted[0]["value"][1]) >= SCRAPES_NEEDED


@needs_prometheus
@pytest.mark.service
def test_prometheus_scrapes_the_daemon_with_the_committed_configuration(prometheus: Prometheus) -> None:
    assert prometheus.query('up{job="lowtide"}')[0]["value"][1] == "1"


@needs_prometheus
@pytest.mark.service
def test_every_expression_of_the_dashboards_returns_data(prometheus: Prometheus) -> None:
    for title, expression in expressions_of_dashboards():
        assert prometheus.query(expression), f"{title}: {expression}"


@needs_prometheus
@pytest.mark.service
def test_every_rule_evaluates_and_its_series_and_labels_exist(prometheus: Prometheus) -> None:
    for rule in RULES:
        prometheus.query(rule["expr"])
        for name, matchers in re.findall(r"\b((?:lowtide[_:][a-z_:]+)|up)\b(?:\{([^}]*)\})?", rule["expr"]):
            series = prometheus.query(name)
            assert series, f"{rule}: {name}"
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                assert label in series[0]["metric"], f"{name} has no label {label}"


@needs_prometheus
@pytest.mark.service
def test_the_rules_are_loaded_and_healthy(prometheus: Prometheus) -> None:
    groups = prometheus.http.get("/api/v1/rules").json()["data"]["groups"]
    assert sum(len(group["rules"]) for group in groups) == len(RULES)
    wait_for(lambda: True if all(rule["health"] == "ok" for group in _groups(prometheus) for rule in group["rules"]) else None)


def _groups(prometheus: Prometheus) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = prometheus.http.get("/api/v1/rules").json()["data"]["groups"]
    return groups


@needs_prometheus
@pytest.mark.service
def test_intensity_of_every_zone_is_positive_and_observed(prometheus: Prometheus) -> None:
    values = {row["metric"]["zone"]: float(row["value"][1]) for row in prometheus.query("lowtide_intensity_grams_per_kwh")}
    assert set(values) == {"DE", "SE"}
    assert 0 < values["SE"] < values["DE"] < 1000
