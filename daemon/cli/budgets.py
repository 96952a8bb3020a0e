"""Commands about what projects and users are entitled to: budgets, approve, shares."""

from __future__ import annotations

import typer

from daemon.cli import client
from daemon.cli.client import DEFAULT_URL, UrlOption
from daemon.cli.jobs import JobId, segment
from daemon.cli.output import JsonFlag, grams, instant, number, print_json, say, table


def register(app: typer.Typer) -> None:
    app.command()(budgets)
    app.command()(approve)
    app.command()(shares)


def budgets(url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """What projects may emit in this month, and what they have spent."""
    found = client.get(url, "/v1/budgets")
    if as_json:
        print_json(found)
        return
    if not found:
        say("No project has a carbon budget: set projects.NAME.budget_kg_per_month.")
        return
    rows = [
        (
            item["project"],
            grams(item["budget_g"]),
            grams(item["settled_g"]),
            grams(item["estimated_g"]),
            grams(item["left_g"]),
            f"{instant(item['month_end'])} UTC",
            item["over_budget"],
        )
        for item in found
    ]
    columns = ("project", "budget", "settled", "under way", "left", "opens again", "beyond it")
    say(table("Budgets", columns, rows, right=columns[1:5]))


def approve(job_id: JobId, url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """Let one job run over its project's carbon budget, where the project asks."""
    answer = client.post(url, f"/v1/jobs/{segment(job_id)}/approve")
    if as_json:
        print_json(answer)
    else:
        say(f"{answer['id']} may run over the budget of project {answer['project']}: the next plan places it")


def shares(url: UrlOption = DEFAULT_URL, as_json: JsonFlag = False) -> None:
    """Where users stand in fair shares: of equal jobs, those of the lowest standing choose first."""
    found = client.get(url, "/v1/shares")
    if as_json:
        print_json(found)
        return
    if not found:
        say("Fair shares are not looked at: set shares.weights.")
        return
    rows = [(item["user"], number(item["weight"]), number(item["gpu_hours"], "h"), number(item["standing"], "h")) for item in found]
    columns = ("user", "weight", "GPU-hours", "standing")
    say(table("Fair shares", columns, rows, right=columns[1:]))
