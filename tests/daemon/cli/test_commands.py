"""What the commands print for people and for programs, and how they fail."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.cli.output import duration, energy, grams, number, percent
from daemon.domain.caller import OPERATOR
from tests.daemon.api.scripted import ScriptedService
from tests.daemon.api.test_problems import job, synthesis
from tests.daemon.cli.conftest import Lowtide

JOB = json.dumps(job(synthesis()))


@pytest.fixture
def job_file(tmp_path: Path) -> str:
    path = tmp_path / "a job's file.json"
    path.write_text(JOB)
    return str(path)


def test_submit_prints_id_estimate_window_and_reason(lowtide: Lowtide, job_file: str) -> None:
    result = lowtide("submit", job_file)
    assert result.exit_code == 0
    for words in (
        "j0",
        "1.00 kWh (0.9000 kWh to 1.20 kWh)",
        "umea  2026-11-20 12:00 - 15:00 UTC",
        "31.0 g",
        "402 g",
        "cleaner window tonight",
    ):
        assert words in result.stdout


def test_estimate_prints_now_later_elsewhere_by_month_and_less(lowtide: Lowtide, job_file: str) -> None:
    result = lowtide("estimate", job_file)
    assert result.exit_code == 0, result.stderr
    for words in (
        "402 g (300 g to 500 g)",
        "31.0 g (20.0 g to 45.0 g)",
        "At each site",
        "By month, DE",
        "620 g (558 g to 744 g)",
        "9.00 h later",
        "2.40 h sooner (2.00 h to 2.90 h)",
        "0.8000 kWh (0.7000 kWh to 0.9500 kWh)",
        "200 DDIM steps: Look.",
        "34 times the mean of image generation",
    ):
        assert words in result.stdout
    spent = {line.strip().split("  ")[0]: line for line in result.stdout.splitlines()}
    assert spent["start-up"].split()[-4:] == ["50.0", "Wh", "6.00", "min"]
    assert spent["checkpoints"].split()[-4:] == ["0.2500", "kWh", "18.0", "min"]
    assert spent["all of it"].split()[-4:] == ["1.00", "kWh", "3.00", "h"]
    assert "would draw 0.2000 kWh of it doing nothing" in result.stdout
    assert result.stdout.count("grams unknown") == result.stdout.count("energy unknown") == result.stdout.count("time unknown") == 1


def test_submit_reads_standard_input_and_sends_the_key(lowtide: Lowtide, service: ScriptedService) -> None:
    assert lowtide("submit", "-", "--key", "k1", stdin=JOB).exit_code == 0
    assert lowtide("submit", "-", "--key", "k1", stdin=JOB).exit_code == 0
    assert [key for _, key, _ in service.accepted.values()] == ["k1"]


@pytest.mark.parametrize("command", [["submit", "-"], ["estimate", "-"]])
def test_a_refused_job_ends_with_1_and_every_field(lowtide: Lowtide, command: list[str]) -> None:
    result = lowtide(*command, stdin=json.dumps(job(synthesis(samples=-1, sampels=2))))
    assert result.exit_code == 1
    assert "workload.samples: must be at least 1, got -1" in result.stderr
    assert "workload.sampels: unknown field, did you mean 'samples'?" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is not JSON"), ('{"a": NaN}', "NaN is not a number"), ("[1,\n2,]", "line 2"), ('{"a": {"b": 1, "b": 2}}', "'b' stands twice")],
)
def test_a_file_that_is_no_json_ends_with_2_and_the_place(lowtide: Lowtide, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "job.json"
    path.write_text(text)
    result = lowtide("submit", str(path))
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_missing_file_ends_with_2_and_its_name(lowtide: Lowtide) -> None:
    result = lowtide("submit", "nowhere.json")
    assert (result.exit_code, "nowhere.json" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs"],
        ["job", "j0"],
        ["cancel", "j0"],
        ["approve", "j0"],
        ["budgets"],
        ["shares"],
        ["plan"],
        ["report"],
        ["zones"],
        ["zones", "--all"],
        ["settings"],
        ["submit", "-"],
        ["estimate", "-"],
    ],
    ids=" ".join,
)
def test_every_command_that_prints_results_speaks_json(lowtide: Lowtide, arguments: list[str]) -> None:
    lowtide("submit", "-", stdin=JOB)
    result = lowtide(*arguments, "--json", stdin=JOB)
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout)
    assert lowtide(*arguments, stdin=JOB).exit_code == 0


@pytest.mark.parametrize("arguments", [["job", ""], ["cancel", " "], ["approve", ""], ["zones", ""]], ids=lambda arguments: arguments[0])
def test_the_empty_name_of_a_variable_that_is_not_set_is_told_as_such(lowtide: Lowtide, arguments: list[str]) -> None:
    result = lowtide(*arguments)
    assert (result.exit_code, "the name is empty" in result.stderr) == (2, True)


def test_a_report_takes_dates_as_every_other_command_does(lowtide: Lowtide, service: ScriptedService) -> None:
    assert lowtide("report", "--start", "2026-11-01", "--end", "2026-12-01T01:00:00+01:00").exit_code == 0
    assert service.asked[-1] == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), None)


@pytest.mark.parametrize("moment", ["yesterday", "2026-02-30", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("option", ["--start", "--end"])
def test_what_is_no_moment_ends_with_2_and_how_to_write_one(lowtide: Lowtide, option: str, moment: str) -> None:
    result = lowtide("report", option, moment)
    assert result.exit_code == 2
    assert f"{option} '{moment}' is not a time: write it like 2026-07-01" in result.stderr


def test_a_job_is_explained_by_a_sentence_and_its_numbers(lowtide: Lowtide) -> None:
    lowtide("submit", "-", stdin=JOB)
    result = lowtide("job", "j0")
    for words in (
        "31 g, 371 g (92 %) less than running at once at home",
        "402 g, 371 g (92.3 %) more than this window",
        "capacity, residency",
        "j7",
        "lyon  would save 12.0 g",
    ):
        assert words in result.stdout
    assert json.loads(lowtide("job", "j0", "--json").stdout)["explanation"]["saved_g"] == 371.0


def test_a_job_shows_what_it_was_estimated_to_need(lowtide: Lowtide) -> None:
    lowtide("submit", "-", stdin=JOB)
    (line,) = [line for line in lowtide("job", "j0").stdout.splitlines() if "Estimated" in line]
    assert "1.25 kWh" in line


def test_zones_shows_which_site_is_out_of_reach_and_why(lowtide: Lowtide) -> None:
    result = lowtide("zones")
    for words in ("1/8", "up", "2/?", "not-in-settings", "lulea: the settings no longer name this site: put it back"):
        assert words in result.stdout


def test_budgets_are_shown_with_what_is_spent_and_when_they_open_again(lowtide: Lowtide) -> None:
    result = lowtide("budgets")
    for words in ("ct", "20.0 kg", "17.5 kg", "500 g", "2.00 kg", "2026-12-01 00:00 UTC", "ask"):
        assert words in result.stdout


def test_shares_are_shown_with_use_weight_and_standing(lowtide: Lowtide) -> None:
    result = lowtide("shares")
    for words in ("ada", "2.00", "30.0 h", "15.0 h"):
        assert words in result.stdout


def test_an_approval_that_is_refused_ends_with_1_and_the_remedy(lowtide: Lowtide) -> None:
    lowtide("submit", "-", stdin=json.dumps(job(synthesis()) | {"project": "frugal"}))
    result = lowtide("approve", "j0")
    assert result.exit_code == 1
    assert "stops at its budget: raise it" in result.stderr


def test_jobs_are_listed_with_state_and_reason(lowtide: Lowtide) -> None:
    lowtide("submit", "-", stdin=json.dumps(job(synthesis()) | {"name": "[bold]not markup[/bold]"}))
    result = lowtide("jobs")
    for words in ("[bold]not markup[/bold]", "waiting", "0/8", "cleaner window tonight"):
        assert words in result.stdout


def test_what_a_node_says_is_neither_markup_nor_an_escape(
    lowtide: Lowtide, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowtide("submit", "-", stdin=JOB)
    view = service.job("j0", OPERATOR).model_copy(update={"reason": "scan[/7].dcm \x1b]0;owned\x07 :warning:"})
    monkeypatch.setattr(service, "cancel", lambda job_id, caller: view)
    monkeypatch.setattr(service, "job", lambda job_id, caller: view)
    for command in ("cancel", "job"):
        result = lowtide(command, "j0")
        assert result.exit_code == 0
        assert r"scan[/7].dcm \x1b]0;owned\x07 :warning:" in result.stdout


def test_a_job_shows_its_plan_events_and_directories(lowtide: Lowtide) -> None:
    lowtide("submit", "-", stdin=JOB)
    result = lowtide("job", "j0")
    for words in ("Deadline", "umea", "Attempts", "Events", "accepted", "/runs/j0"):
        assert words in result.stdout


def test_an_unknown_job_is_a_failure_with_the_daemons_sentence(lowtide: Lowtide) -> None:
    result = lowtide("job", "../v1/sites")
    assert result.exit_code == 1
    assert "nothing at" in result.stderr or "there is no job" in result.stderr


def test_a_silent_address_is_one_helpful_sentence(lowtide: Lowtide) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = lowtide("jobs", "--url", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert result.exit_code == 1
    assert "lowtide serve" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.fixture
def stranger() -> Iterator[str]:
    """Something that speaks HTTP and is no Lowtide daemon."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


def test_an_answer_from_something_else_is_recognised(lowtide: Lowtide, stranger: str) -> None:
    result = lowtide("jobs", "--url", stranger)
    assert result.exit_code == 1
    assert "not a Lowtide daemon" in result.stderr


def test_an_address_that_is_none_is_one_sentence(lowtide: Lowtide) -> None:
    result = lowtide("jobs", "--url", "nonsense")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_a_wrong_option_ends_with_2(lowtide: Lowtide) -> None:
    assert lowtide("jobs", "--limit", "0").exit_code == 2
    assert lowtide("no-such-command").exit_code == 2


def test_settings_show_where_each_value_came_from(lowtide: Lowtide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "lowtide.toml"
    config.write_text("[server]\nport = 1234\n[electricity_maps]\ntoken = 'hidden-from-view'\n")
    monkeypatch.setenv("LOWTIDE_PLANNER__RETRIES", "9")
    result = lowtide("settings", "--config", str(config), "--json")
    rows = {row["key"]: (row["value"], row["origin"]) for row in json.loads(result.stdout)}
    assert rows["server.port"] == (1234, str(config))
    assert rows["planner.retries"] == (9, "LOWTIDE_PLANNER__RETRIES")
    assert "hidden-from-view" not in result.stdout


def test_a_broken_settings_file_stops_every_command_that_reads_it_with_one_sentence(lowtide: Lowtide, tmp_path: Path) -> None:
    config = tmp_path / "lowtide.toml"
    config.write_text("[server\n")
    for command in ("settings", "serve"):
        result = lowtide(command, "--config", str(config))
        assert result.exit_code == 2
        assert "line 1" in result.stderr
        assert result.stderr.count("\n") == 1


def test_serving_others_without_a_token_is_refused_in_one_sentence(
    lowtide: Lowtide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = lowtide("serve", "--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "[[server.tokens]]" in result.stderr
    assert not list(tmp_path.iterdir())


def test_job_ids_complete_in_the_shell(lowtide: Lowtide) -> None:
    from daemon.cli.jobs import _complete_job_id

    lowtide("submit", "-", stdin=JOB)
    assert _complete_job_id("j") == ["j0"]
    assert _complete_job_id("x") == []


def test_small_quantities_are_shown_in_smaller_units() -> None:
    assert (energy(0.0002), energy(0.5), energy(0.0)) == ("0.2000 Wh", "0.5000 kWh", "0.0000 kWh")
    assert (duration(2.0), duration(0.5), duration(0.005)) == ("2.00 h", "30.0 min", "18.0 s")


def test_unknown_is_not_zero_in_any_unit() -> None:
    assert [show(None) for show in (number, grams, percent, energy, duration)] == [None] * 5
    assert (number(0.0, "kWh"), grams(0.0)) == ("0.0000 kWh", "0.0000 g")
    assert (grams(31.04), grams(-2500.0), number(1234.5), number(0.00001)) == ("31.0 g", "-2.50 kg", "1,234", "1.00e-05")
