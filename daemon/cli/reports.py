"""Commands that look at the whole: plan, report."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daemon.cli import client
from daemon.cli.client import DEFAULT_URL, UrlOption
from daemon.cli.moments import moment_or_fail
from daemon.cli.output import JsonFlag, energy, facts, grams, instant, number, per_sample, percent, print_json, say, table, windows


def register(app: typer.Typer) -> None:
    app.command()(plan)
    app.command()(report)


def plan(url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """Show the current plan: where and when each job will run, and why."""
    answer = client.get(url, "/v1/plan")
    if as_json:
        print_json(answer)
        return
    if answer["made_at"] is None:
        say("No plan has been made yet: the next tick makes one.")
        return
    rows = [
        (item["job_id"], item["name"], windows(item["segments"]), grams(item["expected_g"]), grams(item["run_now_g"]), item["reason"])
        for item in answer["placements"]
    ]
    rows += [(item["job_id"], item["name"], "none", None, None, item["reason"]) for item in answer["unplaced"]]
    say(table(f"Plan of {instant(answer['made_at'])} UTC", ("job", "name", "when and where", "expected", "run now", "why"), rows))
    say(f"expected {grams(answer['cost_g'])}, proven bound {grams(answer['bound_g'])}, gap {percent(answer['gap'])}")


def report(
    start: Annotated[str | None, typer.Option("--start", help="Jobs that ended from here on, e.g. 2026-11-01, in UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="... and before this.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Only jobs of this project.")] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonFlag = False,
) -> None:
    """Energy, emissions and savings of ended jobs, with what they equal."""
    answer = client.get(url, "/v1/report", start=_moment(start, "--start"), end=_moment(end, "--end"), project=project)
    if as_json:
        print_json(answer)
    else:
        show_report(answer)


def _moment(text: str | None, option: str) -> str | None:
    return None if text is None else moment_or_fail(text, option).isoformat()


def show_report(answer: dict[str, Any]) -> None:
    """The report as people read it; `lowtide demo` ends with it, too."""
    say(_lines(answer["lines"]))
    say(_totals(answer["totals"]))
    for equal in answer["equivalents"]:
        say(f"as much as {number(equal['value'], equal['unit'])} {equal['name']} ({equal['factor']}; {equal['source']})")
    if answer["comparison"]:
        say(answer["comparison"])
    for note in answer["notes"]:
        say(note)


def _lines(lines: list[dict[str, Any]]) -> Any:
    """One row a job; whatever does not fit on a screen is in --json."""
    rows = [
        (
            line["name"] or line["job_id"],
            energy(line["energy_kwh"]),
            grams(line["actual_g"]),
            grams(line["baseline_g"]),
            grams(line["saving_g"]),
            percent(line["hindsight_share"]),
            grams(line["g_per_1000_samples"]),
            line["settlement"] or line["state"],
        )
        for line in lines
    ]
    columns = ("job", "energy", "emitted", "run now", "saved", "of hindsight", "per 1,000", "account")
    return table("Report", columns, rows, right=columns[1:7])


def _totals(totals: dict[str, Any]) -> Any:
    return facts(
        [
            ("Jobs", totals["jobs"]),
            ("Energy", f"{energy(totals['energy_kwh'])}, at the facility {energy(totals['facility_energy_kwh'])}"),
            ("Waste", energy(totals["waste_kwh"])),
            ("Emitted", grams(totals["actual_g"])),
            ("Run now", grams(totals["baseline_g"])),
            ("Saved", f"{grams(totals['saving_g'])}, of which claimed {grams(totals['claimed_saving_g'])}"),
            ("Of hindsight", percent(totals["hindsight_share"])),
            ("Per sample", per_sample(totals)),
        ]
    )
