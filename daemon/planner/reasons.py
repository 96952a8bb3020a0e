"""Why a job runs when and where it does, in a sentence a person understands."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.domain.job import PlannedSegment
from daemon.planner.regret import Comparison
from daemon.planner.task import Offer, Task
from daemon.planner.terrain import Terrain
from forecast.regret import Z80


def grams_text(grams: float) -> str:
    """Grams with three significant digits, kilograms from 10,000 g on."""
    if abs(grams) >= 10_000:
        return f"{grams / 1000:,.1f} kg"
    return f"{grams:,.0f} g" if abs(grams) >= 10 else f"{grams:.2g} g"


def moment_text(instant: datetime, now: datetime) -> str:
    """Time of day in UTC, with the day where it is not today, and its year where that is not this one."""
    days = (instant.date() - now.date()).days
    if 0 <= days <= 1:
        day = ("", "tomorrow ")[days]
    else:
        day = f"{instant:%a %d %b} " if instant.year == now.year else f"{instant:%a %d %b %Y} "
    return f"{day}{clock_text(instant)}"


def clock_text(instant: datetime) -> str:
    """Hour and minute; ten times as quick as strftime, which a preview would notice."""
    return f"{instant.hour:02}:{instant.minute:02}"


def window_text(segments: tuple[PlannedSegment, ...], now: datetime) -> str:
    """`tomorrow 01:00-04:00 UTC`, or the first and last moment, the number of pieces and how many are side by side."""
    start, end = segments[0].start, max(segment.end for segment in segments)
    same_day = start.date() == (end - timedelta(microseconds=1)).date()
    span = f"{moment_text(start, now)}-{clock_text(end)} UTC" if same_day else f"{moment_text(start, now)} to {moment_text(end, now)} UTC"
    if len(segments) == 1:
        return span
    width = max(sum(other.start <= one.start < other.end for other in segments) for one in segments)
    return f"{span} in {len(segments)} pieces" + (f", {width} side by side" if width > 1 else "")


def gpus_at_once(segments: tuple[PlannedSegment, ...], one: PlannedSegment) -> int:
    """GPUs that all of the segments hold at the site when this one begins."""
    return sum(other.gpus for other in segments if other.site == one.site and other.start <= one.start < other.end)


def wait_text(offer: Offer, segments: tuple[PlannedSegment, ...], run_now_g: float, terrain: Terrain) -> str:
    """A placement that is cleaner than running at once at home."""
    zones = ", ".join(dict.fromkeys(terrain.sites[piece.choice.site].zone for piece in offer.pieces))
    return f"cleaner window {window_text(segments, terrain.now)} in {zones}: {grams_text(offer.grams)} instead of {grams_text(run_now_g)}"


def prompt_text(offer: Offer, task: Task, run_now_g: float, terrain: Terrain) -> str:
    """A placement that begins as soon as the job may."""
    site = terrain.sites[offer.pieces[0].choice.site]
    when = "runs now" if offer.start <= 0 else f"runs at {moment_text(terrain.instant(offer.start), terrain.now)} UTC, as soon as it may,"
    if site.name == task.job.home:
        return f"{when} at {site.name}: no later hour before the deadline is cleaner"
    return f"{when} at {site.name} in {site.zone}: {grams_text(offer.grams)} instead of {grams_text(run_now_g)} at {task.job.home}"


def not_worth_text(comparison: Comparison, instead: Offer) -> str:
    """`not worth waiting: 2 % +- 4 %`; the half-width holds the central 80 %. Forecasts with a poor record are named."""
    scale = 100 / instead.score if instead.score > 0 else 0.0
    text = f"not worth waiting: {comparison.saving_g * scale:.0f} % +- {Z80 * comparison.deviation_g * scale:.0f} %"
    if comparison.share_kept >= 1.0:
        return text
    return f"{text}; forecasts of {comparison.zone} lately kept {comparison.share_kept:.0%} of the savings they promised"


def held_text(offer: Offer, terrain: Terrain) -> str:
    """A placement that waits for room, not for clean hours."""
    return f"waits for free GPUs until {moment_text(terrain.instant(offer.start), terrain.now)} UTC"


def room_text(segments: tuple[PlannedSegment, ...], now: datetime) -> str:
    """A placement sooner than the cleanest hours."""
    return f"runs {window_text(segments, now)}, sooner than its cleanest hours: room is kept for jobs that may still come"


def late_text(task: Task, offer: Offer, terrain: Terrain) -> str:
    due = moment_text(task.job.deadline, terrain.now)
    would_do = deadline_text(terrain.instant(offer.end), terrain.now)
    return f"held back by deadline: cannot end by {due} UTC, placed as early as there is room; {would_do}"


def no_room_text(nearest: datetime | None, now: datetime) -> str:
    """A job that ends beyond everything the planner looks at."""
    text = "the queue ahead of it is longer than the planner looks: it is placed as others end"
    return text if nearest is None else f"{text}; {deadline_text(nearest, now)}"


def deadline_text(end: datetime, now: datetime) -> str:
    """The nearest deadline that can be kept, to the minute after."""
    return f"a deadline of {moment_text(end + timedelta(minutes=1, microseconds=-1), now)} UTC would do"
