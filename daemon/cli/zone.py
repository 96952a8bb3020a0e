"""One zone as people read it: what its months usually are, and how good its forecasts were lately."""

from __future__ import annotations

from typing import Any

from daemon.cli.output import band, number, percent, say, table

Answer = dict[str, Any]


def show_zone(seasons: Answer, skill: list[Answer]) -> None:
    """Every known month, then the skill of each source of forecasts."""
    if seasons["months"]:
        rows = [(item["month"], *_month(item), _years(item)) for item in seasons["months"]]
        columns = ("month", "gCO2e/kWh", "over the years", "cleanest hour UTC", "years")
        say(table(f"Months of {seasons['zone']}, {seasons['basis']}", columns, rows, right=columns[1:4]))
    _say_almanac(seasons)
    _show_skill(skill)


def show_almanac(almanac: Answer) -> None:
    """This month, next month and the best month, with what the whole job would emit in each."""
    named = [(key.replace("_", " "), almanac[key]) for key in ("this_month", "next_month", "best_month")]
    rows = [
        (f"{name}, {item['month']}", *_month(item), band(item["g"])) if item else (name, None, None, None, "nothing recorded")
        for name, item in named
    ]
    columns = ("for work that may wait", "gCO2e/kWh", "over the years", "cleanest hour UTC", "emits")
    say(table(f"Seasons of {almanac['zone']}, {almanac['basis']}", columns, rows, right=columns[1:]))
    _say_almanac(almanac)


def _say_almanac(almanac: Answer) -> None:
    say(almanac["sentence"])
    for words in almanac["left_out"]:
        say(f"{words}: releases and kinds are never mixed.")


def _month(item: Answer) -> tuple[str | None, str | None, str | None]:
    low, high, hour = item["cleanest_year_g_per_kwh"], item["dirtiest_year_g_per_kwh"], item["cleanest_hour_utc"]
    spread = "unknown" if low is None else f"{number(low)} to {number(high)}"
    return number(item["g_per_kwh"]), spread, None if hour is None else f"{hour:02}:00"


def _years(item: Answer) -> str:
    return ", ".join(map(str, item["years"]))


def _show_skill(skill: list[Answer]) -> None:
    if not skill:
        say("No forecast of this zone is archived yet: how good they are is not known.")
        return
    rows = [
        (
            each["source"],
            lead["lead_hours"],
            number(lead["mae_g_per_kwh"]),
            number(lead["relative_mae"]),
            number(lead["bias_g_per_kwh"]),
            percent(lead["coverage"]),
            percent(each["savings_kept"]),
        )
        for each in skill
        for lead in each["leads"]
    ]
    columns = ("forecast", "lead h", "MAE", "relative", "bias", "coverage", "promised savings kept")
    say(table("Forecasts of the last four weeks; repeating yesterday is 1", columns, rows, right=columns[1:]))
    say(*(_decided(each) for each in skill if each.get("hindsight_kept") is not None))


def _decided(skill: Answer) -> str:
    return (
        f"{skill['source']}: 8 h jobs with 24 h slack planned by it would have kept {percent(skill['hindsight_kept'])} of the hindsight "
        f"saving; {percent(skill['worse'])} would have ended above run-now."
    )
