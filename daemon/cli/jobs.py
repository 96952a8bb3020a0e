"""Commands about jobs: submit, estimate, jobs, job, cancel."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import client
from daemon.cli.advice import show_advice, show_parts
from daemon.cli.client import DEFAULT_URL, UrlOption
from daemon.cli.explanation import explanation_facts
from daemon.cli.output import USAGE, JsonFlag, duration, energy, facts, fail, grams, instant, per_sample, print_json, say, table, windows
from daemon.said_once import each_once


def _complete_job_id(incomplete: str) -> list[str]:
    return [job_id for job_id in client.job_ids(os.environ.get("LOWTIDE_URL", DEFAULT_URL)) if job_id.startswith(incomplete)]


JobFile = Annotated[str, typer.Argument(metavar="FILE", help="The job as JSON; - reads standard input.")]
JobId = Annotated[str, typer.Argument(metavar="ID", autocompletion=_complete_job_id, help="The job's id.")]


def register(app: typer.Typer) -> None:
    app.command()(submit)
    app.command()(estimate)
    app.command()(jobs)
    app.command()(job)
    app.command()(cancel)


def submit(
    file: JobFile,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: the same key and job are accepted once.")] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonFlag = False,
) -> None:
    """Queue a job; prints its id, its estimate and the window it would get now."""
    answer = client.post(url, "/v1/jobs", _read_job(file), {"Idempotency-Key": key} if key else None)
    if as_json:
        print_json(answer)
        return
    accepted = answer["job"]
    say(facts([("Job", accepted["id"]), ("Deadline", f"{instant(accepted['deadline'])} UTC"), ("Home", accepted["home"])]))
    say(_forecast_facts(answer))


def estimate(file: JobFile, url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """What a job would cost now, later, elsewhere and in other months, and what spending less would save. Queues nothing."""
    answer = client.post(url, "/v1/estimates", _read_job(file))
    if as_json:
        print_json(answer)
        return
    say(_forecast_facts(answer))
    show_parts(answer["estimate"])
    show_advice(answer["advice"])


def jobs(
    state: Annotated[list[str] | None, typer.Option("--state", help="Only jobs in this state; may be repeated.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Only jobs of this project.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at most, newest first.")] = 50,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonFlag = False,
) -> None:
    """List jobs, newest first."""
    page = client.get(url, "/v1/jobs", state=state or None, project=project, limit=limit)
    if as_json:
        print_json(page)
        return
    rows = [
        (item["id"], item["name"], item["kind"], item["state"], _progress(item), energy(item["energy_kwh"]), item["reason"])
        for item in page["items"]
    ]
    say(table("Jobs", ("id", "name", "kind", "state", "progress", "energy", "why"), rows, right=("progress", "energy")))
    if page["next_cursor"] is not None:
        say(f"There are more: raise --limit, or page through the API from cursor {page['next_cursor']}.")


def job(job_id: JobId, url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """Show one job: where it is and why, its plan, attempts, events and ledger."""
    path = f"/v1/jobs/{segment(job_id)}"
    detail = client.get(url, path)
    detail["events"] = client.get(url, f"{path}/events", limit=500)["items"]
    detail["ledger"] = client.get(url, f"{path}/ledger")
    if as_json:
        print_json(detail)
        return
    say(_job_facts(detail))
    if detail["explanation"] is not None:
        say(explanation_facts(detail["explanation"]))
    say(_attempts(detail["attempts"]), _events(detail["events"]))
    if detail["ledger"]["entries"]:
        say(_ledger_facts(detail["ledger"]["entries"][-1], detail["ledger"]))


def cancel(job_id: JobId, url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """Cancel a job; running work is asked to stop at its next step."""
    answer = client.post(url, f"/v1/jobs/{segment(job_id)}/cancel")
    if as_json:
        print_json(answer)
    else:
        say(f"{answer['id']} is {answer['state']}: {answer['reason']}")


def _read_job(file: str) -> Any:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be read ({error.strerror}): check the path", USAGE)
    except UnicodeDecodeError:
        fail(f"{file}: is not UTF-8 text: write the job as JSON", USAGE)
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=each_once)
    except json.JSONDecodeError as error:
        fail(f"{file}: is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", USAGE)
    except ValueError as error:
        fail(f"{file}: {error}", USAGE)


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number that a job can hold: write a finite one")


def segment(name: str) -> str:
    """An id or the name of a zone as one segment of a path; an empty one, as of a variable that is not set, ends the command."""
    from urllib.parse import quote

    if not name.strip():
        fail("the name is empty: give the id of a job (`lowtide jobs` lists them) or the key of a zone", USAGE)
    return quote(name, safe="")


def _forecast_facts(answer: dict[str, Any]) -> Any:
    estimated, preview = answer["estimate"], answer["preview"]
    return facts(
        [
            ("Energy", _band(estimated["energy_kwh"], energy)),
            ("Duration", _band(estimated["duration_hours"], duration)),
            ("Estimated", estimated["origin"]),
            ("Window", windows(preview["segments"]) or "none now"),
            ("Expected", grams(preview["expected_g"])),
            ("Run now", grams(preview["run_now_g"])),
            ("Per sample", per_sample(estimated)),
            ("Why", preview["reason"]),
        ]
    )


def _band(band: dict[str, float], show: Callable[[float | None], str | None]) -> str:
    return f"{show(band['mid'])} ({show(band['low'])} to {show(band['high'])})"


def _progress(item: dict[str, Any]) -> str:
    progress = item["progress"]
    return f"{progress['steps_done']:,}/{progress['steps_total']:,}"


def _job_facts(detail: dict[str, Any]) -> Any:
    return facts(
        [
            ("Job", f"{detail['id']}  {detail['name']}"),
            ("Project", detail["project"]),
            ("Kind", f"{detail['kind']}, {detail['data_class']}"),
            ("State", detail["state"]),
            ("Why", detail["reason"]),
            ("Accepted", f"{instant(detail['accepted_at'])} UTC"),
            ("Deadline", f"{instant(detail['deadline'])} UTC"),
            ("Home", detail["home"]),
            ("Progress", f"{_progress(detail)} {detail['progress']['unit']}"),
            ("Energy", energy(detail["energy_kwh"])),
            ("Estimated", energy(detail["estimated_energy_kwh"])),
            ("Plan", windows(detail["plan"])),
            ("Directories", "\n".join(detail["directories"])),
        ]
    )


def _attempts(attempts: list[dict[str, Any]]) -> Any:
    rows = [
        (item["number"], item["site"], item["state"], instant(item["started_at"]), instant(item["ended_at"]), item["reason"])
        for item in attempts
    ]
    return table("Attempts", ("number", "site", "state", "started", "ended", "reason"), rows, right=("number",))


def _events(events: list[dict[str, Any]]) -> Any:
    return table("Events", ("at", "what", "message"), [(instant(item["at"]), item["kind"], item["message"]) for item in events])


def _ledger_facts(entry: dict[str, Any], ledger: dict[str, Any]) -> Any:
    return facts(
        [
            ("Ledger", entry["kind"]),
            ("Energy", f"{energy(entry['energy_kwh'])}, at the facility {energy(entry['facility_energy_kwh'])}"),
            ("Waste", energy(entry["waste_kwh"])),
            ("Not metered", _unmetered(entry["unmetered_seconds"])),
            ("Emitted", grams(entry["actual_g"])),
            (
                "Run now",
                f"{grams(entry['baseline_g']) or 'unknown'} at {entry['baseline_site']} from {instant(entry['baseline_start'])} UTC",
            ),
            ("Saved", grams(entry["saving_g"])),
            ("By time", grams(entry["saving_by_time_g"])),
            ("By place", grams(entry["saving_by_place_g"])),
            ("Per sample", per_sample(entry)),
            ("Counted with", _counted_with(ledger["sites"])),
            ("Clock", ledger["clock_note"]),
        ]
    )


def _counted_with(sites: list[dict[str, Any]]) -> str:
    """The figures that turned joules into grams, home first."""
    return "; ".join(f"PUE {site['pue']:g} at {site['site']} in {site['zone']}{_of_home(site)}" for site in sites)


def _of_home(site: dict[str, Any]) -> str:
    factor = site["energy_factor"]
    return "" if factor == 1 else f" ({factor:.3g} kWh at home for each of its kWh)"


def _unmetered(seconds: float | None) -> str | None:
    return f"{duration(seconds / 3600)}, filled in at the power known before or expected" if seconds else None
