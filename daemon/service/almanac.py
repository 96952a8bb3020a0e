"""The almanac as answers: this month, next month and the best one, with the spread across years."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from daemon.service.bands import scaled
from daemon.service.render import band_view
from daemon.service.views import AlmanacView, CalendarMonthView
from forecast.almanac import Almanac, CalendarMonth, years_cleaner
from jobs.energy.model import Band

AlmanacOf = Callable[[str], Almanac | None]


def almanac_view(almanac: Almanac, now: datetime, energy_kwh: Band | None = None) -> AlmanacView:
    """`energy_kwh`: facility energy of a job, to be told in grams at each month's mean; its interval is that of the energy alone."""
    this = _view(almanac.month(now.month), now, energy_kwh)
    following = _view(almanac.month(now.month % 12 + 1), now, energy_kwh)
    best = _view(almanac.best, now, energy_kwh)
    return AlmanacView(
        zone=almanac.zone,
        kind=almanac.kind.label,
        basis=almanac.basis,
        this_month=this,
        next_month=following,
        best_month=best,
        months=[view for month in almanac.months if (view := _view(month, now, energy_kwh)) is not None],
        sentence=_sentence(almanac, now),
        left_out=list(almanac.left_out),
    )


def nothing_known(zone: str, kind: str) -> AlmanacView:
    """The answer for a zone of which no whole month is recorded."""
    sentence = f"No whole month of {zone} is recorded: import data-portal files with `lowtide import-intensity`, or let the record grow."
    nothing = dict.fromkeys(("basis", "this_month", "next_month", "best_month"))
    return AlmanacView(zone=zone, kind=kind, months=[], sentence=sentence, left_out=[], **nothing)


def _view(month: CalendarMonth | None, now: datetime, energy_kwh: Band | None) -> CalendarMonthView | None:
    if month is None:
        return None
    return CalendarMonthView(
        month=f"{_next(month, now):%Y-%m}",
        g_per_kwh=month.mean,
        cleanest_year_g_per_kwh=month.low,
        dirtiest_year_g_per_kwh=month.high,
        years=list(month.by_year),
        cleanest_hour_utc=month.cleanest_hour_utc,
        g=None if energy_kwh is None else band_view(scaled(energy_kwh, month.mean)),
    )


def _next(month: CalendarMonth, now: datetime) -> datetime:
    """When it comes: this year's if it is not over, else next year's."""
    return datetime(now.year + (month.month < now.month), month.month, 1, tzinfo=UTC)


def _sentence(almanac: Almanac, now: datetime) -> str:
    best, this = almanac.best, almanac.month(now.month)
    name = f"{_next(best, now):%B %Y}"
    if this is None:
        return f"The cleanest known month is {name} with {_text(best)}; of this month nothing is recorded."
    if best.month == this.month:
        return f"No known month is cleaner than this one, {name}, with {_text(best)}."
    less = f"{name} is the cleanest known month: {_text(best)}, {1 - best.mean / this.mean:.0%} below this month's {this.mean:.0f}"
    cleaner, years = years_cleaner(best, this)
    if years < 2:
        return f"{less}; how far years differ in that is unknown, as {years or 'no'} {'year has' if years == 1 else 'years have'} both."
    return f"{less}; it was the cleaner of the two in {cleaner} of {years} years."


def _text(month: CalendarMonth) -> str:
    first, last = min(month.by_year), max(month.by_year)
    if month.low is None:
        return f"{month.mean:.0f} g/kWh in {first}"
    return f"{month.mean:.0f} g/kWh ({month.low:.0f} to {month.high:.0f} in {first}-{last})"
