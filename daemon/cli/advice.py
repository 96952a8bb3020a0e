"""The advice of an estimate as people read it: now, later, elsewhere, by month, and what spending less would save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from daemon.cli.output import band, duration, energy, facts, instant, number, say, table
from daemon.cli.zone import show_almanac

Answer = dict[str, Any]


PARTS = {
    "startup": "start-up",
    "data": "data (images prepared and encoded once)",
    "work": "work (the steps or samples)",
    "validation": "validation",
    "checkpoints": "checkpoints",
    "waiting": "devices that wait for one",
}


def show_parts(estimate: Answer) -> None:
    """What the estimate adds up from, and how much of it is drawn by a machine that does nothing."""
    rows = [(PARTS[part["name"]], energy(part["energy_kwh"]), duration(part["hours"])) for part in estimate["parts"]]
    if rows:
        total = ("all of it", energy(estimate["energy_kwh"]["mid"]), duration(estimate["duration_hours"]["mid"]))
        say(table("What it is spent on", ("part", "energy", "time"), [*rows, total], right=("energy", "time")))
    if estimate["idle_kwh"] is not None:
        say(f"At the profile's idle watts the devices and their host would draw {energy(estimate['idle_kwh'])} of it doing nothing.")


def show_advice(advice: Answer) -> None:
    """Everything after the estimate itself."""
    say(facts([("Now at home", band(advice["now_g"])), ("Best window", band(advice["best_g"]))]))
    _show_sites(advice["by_site"])
    if advice["by_month"]:
        _show_months(advice["by_month"])
    if advice["almanac"] is not None:
        show_almanac(advice["almanac"])
    _show_levers(advice)
    if advice["comparison"]:
        say(advice["comparison"])


def _show_sites(sites: list[Answer]) -> None:
    rows = [
        (
            item["site"],
            item["zone"],
            energy(item["energy_kwh"]["mid"]),
            duration(item["duration_hours"]["mid"]),
            band(item["now_g"]),
            item["rung"],
            band(item["best_g"]),
            instant(item["best_start"]),
        )
        for item in sites
    ]
    columns = ("site", "zone", "energy", "time", "now", "rung", "best window", "from, UTC")
    say(table("At each site", columns, rows, right=("energy", "time", "now", "best window")))
    for item in sites:
        if item["best_g"] is None:
            say(f"{item['site']}: {item['reason']}")


def _show_months(months: list[Answer]) -> None:
    rows = [(item["month"], number(item["g_per_kwh"]), band(item["g"])) for item in months]
    say(table(f"By month, {months[0]['zone']}", ("month", "gCO2e/kWh", "emits"), rows, right=("gCO2e/kWh", "emits")))


def _show_levers(advice: Answer) -> None:
    """Waiting first, then every way to need less."""
    later = advice["spend_later"]
    shown = [("later", later)] if later else []
    shown += [("less", item) for item in advice["spend_less"]]
    rows = [(kind, item["change"], _savings(item)) for kind, item in shown]
    say(table("Spend later, or spend less (in the best window)", ("spend", "change", "saves (80 % interval)"), rows))
    for _, item in shown:
        say(f"{item['change']}: {item['caveat']}")


def _savings(item: Answer) -> str:
    """Grams, energy and time, one a line; a negative bound is a loss."""
    return "\n".join(
        [
            band(item["saved_g"]) or "grams unknown",
            _spread(item["saved_kwh"], energy) or "energy unknown",
            _spread(item["saved_hours"], duration, " sooner") or "time unknown",
        ]
    )


def _spread(value: Answer | None, show: Callable[[float | None], str | None], direction: str = "") -> str | None:
    """A quantity with its interval, where it has one; the direction is that of the middle, against which bounds may be negative."""
    if value is None:
        return None
    low, mid, high = value["low"], value["mid"], value["high"]
    if direction and mid < 0:
        low, mid, high, direction = -high, -mid, -low, " later"
    between = f" ({show(low)} to {show(high)})" if low < high else ""
    return f"{show(mid)}{direction}{between}"
