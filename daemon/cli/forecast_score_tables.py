"""Forecast scores as people read them: errors by zone and lead time, what decisions were worth, what the regret rule trades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from daemon.cli.output import number, percent, say, table

Document = dict[str, Any]


def show_scores(document: Document) -> None:
    """The document that `--json` prints; jobs and the rule's curve at the smallest delay only."""
    zones, means = document["zones"], document["means"]
    delay = min(zone["delay_hours"] for zone in zones)
    say(f"Hours from {min(z['start'] for z in zones)[:10]} to {max(z['end'] for z in zones)[:10]}; relative: 24 h persistence is 1.")
    _show_errors(zones, means)
    _show_reference_jobs(zones, means)
    _show_jobs([mean for mean in means if mean["delay_hours"] == delay])
    _show_curve([mean for mean in means if mean["delay_hours"] == delay])
    for zone in zones:
        if zone["missing_hours"]:
            say(f"{zone['zone']}: {zone['missing_hours']} hours without a value that can be believed were left out.")


def _show_errors(zones: list[Document], means: list[Document]) -> None:
    rows = [
        (zone["zone"], name, f"{zone['delay_hours']} h", bucket, *_errors(leads))
        for zone in zones
        for name, scores in zone["forecasters"].items()
        for bucket, leads in scores["leads"].items()
    ]
    if len(zones) > 1:
        rows += [
            (f"mean of {mean['zones']}", mean["forecaster"], f"{mean['delay_hours']} h", bucket, *_errors(leads))
            for mean in means
            for bucket, leads in mean["mean"]["leads"].items()
        ]
    columns = ("zone", "forecaster", "delay", "lead h", "MAE", "relative", "MAPE", "bias", "pinball", "Winkler rel.", "coverage")
    _show("Errors in gCO2e/kWh, and central 80 % intervals", columns, rows, columns[3:])


def _errors(leads: Document) -> tuple[str | None, ...]:
    return (
        number(leads["mae_g_per_kwh"]),
        _three(leads["relative_mae"]),
        percent(leads["mape"]),
        number(leads["bias_g_per_kwh"]),
        number(leads["pinball_g_per_kwh"]),
        _three(leads["relative_winkler"]),
        percent(leads["coverage"]),
    )


DECISION_COLUMNS = ("kept once", "worse", "kept replanned", "worse ", "rule: kept once", "worse  ", "rule: kept replanned", "worse   ")


def _show_reference_jobs(zones: list[Document], means: list[Document]) -> None:
    """The 8 h job with 24 h slack in each zone; the least and the mean where there are several."""
    at = [(job["duration_hours"], job["slack_hours"], job["in_chunks"]) for job in _jobs(zones[0])].index((8, 24, False))
    rows = [
        (zone["zone"], name, f"{zone['delay_hours']} h", *_decisions(scores["jobs"][at]))
        for zone in zones
        for name, scores in zone["forecasters"].items()
    ]
    if len(zones) > 1:
        rows += [
            (f"{word} of {mean['zones']}", mean["forecaster"], f"{mean['delay_hours']} h", *_decisions(mean[word]["jobs"][at]))
            for word in ("least", "greatest", "mean")
            for mean in means
        ]
    columns = ("zone", "forecaster", "delay", *DECISION_COLUMNS)
    _show("An 8 h job with 24 h slack: share of the hindsight saving kept, and of jobs worse than run-now", columns, rows, columns[2:])


def _jobs(zone: Document) -> list[Document]:
    jobs: list[Document] = next(iter(zone["forecasters"].values()))["jobs"]
    return jobs


def _show_jobs(means: list[Document]) -> None:
    rows = [
        (f"{job['duration_hours']} h + {job['slack_hours']} h, {_cut(job)}", *_whose(mean), *_decisions(job))
        for mean in means
        for job in mean["mean"]["jobs"]
    ]
    columns = ("job and slack", "forecaster", "delay", *DECISION_COLUMNS)
    _show("All jobs, means over zones", columns, rows, columns[2:])


def _show_curve(means: list[Document]) -> None:
    rows = [
        (f"{point['confidence']:g}", *_whose(mean), *_two(point, "once"), *_two(point, "replanned"), percent(low["replanned"]["saved"]))
        for mean in means
        for point, low in zip(mean["mean"]["regret_rule"], mean["least"]["regret_rule"], strict=True)
    ]
    columns = ("confidence", "forecaster", "delay", *DECISION_COLUMNS[:4], "least saved in a zone")
    _show("The regret rule, 8 h job with 24 h slack: what a wait must save in standard deviations", columns, rows, columns[2:])


def _show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str]) -> None:
    say(table(title, columns, rows, right=numbers, whole=("forecaster",)))


def _cut(job: Document) -> str:
    return "in hours" if job["in_chunks"] else "in one piece"


def _whose(mean: Document) -> tuple[str, str]:
    return mean["forecaster"], f"{mean['delay_hours']} h"


def _decisions(job: Document) -> Iterator[str | None]:
    for how in ("once", "replanned", "ruled_once", "ruled_replanned"):
        yield from _two(job, how)


def _two(job: Document, how: str) -> tuple[str | None, str | None]:
    return _three(job[how]["kept"]), _three(job[how]["worse"])


def _three(share: float | None) -> str | None:
    return None if share is None else f"{share:.3f}"
