"""What a job's placement beats, what bound it, and what a day or a site more would save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.options import PlannerOptions
from daemon.planner.reasons import grams_text, window_text
from daemon.planner.residual import Residual, preview

DAY = timedelta(days=1)
CLEARLY = 0.01  # share of the job's emissions below which a difference is not worth a word


@dataclass(frozen=True, slots=True)
class Explanation:
    """Grams at the facility, expected. None where there would be no placement.

    `alone_g`: with all capacity to itself, in the same window. `held_by`: the jobs in its way there. `day_more_g`: with a
    deadline a day later. `site_more_g`: with one more site, at the speed and power of the job's first option.
    """

    job_id: str
    chosen_g: float
    run_now_g: float
    alone_g: float | None
    held_by: tuple[str, ...]
    day_more_g: float | None
    site_more_g: Mapping[str, float]
    sentence: str


def explain(job_id: str, snapshot: Snapshot, plan: Plan) -> Explanation | None:
    """Why the plan of this snapshot places the job as it does, or None if it has no placement in it."""
    placement = next((p for p in plan.placements if p.job_id == job_id), None)
    job = next((job for job in snapshot.jobs if job.id == job_id), None)
    if placement is None or job is None:
        return None
    bold = PlannerOptions(wait_confidence=0.0, deadline_margin=0.0)
    others = replace(plan, placements=tuple(p for p in plan.placements if p.job_id != job_id))
    beside, empty = Residual.of(snapshot, others, bold), Residual.of(snapshot, replace(plan, placements=()), bold)
    alone = _placed(job, empty)
    held_by = tuple(_in_the_way(others, alone)) if alone is not None and _is_less(alone.expected_g, placement) else ()
    later = _placed(replace(job, deadline=job.deadline + DAY), beside)
    elsewhere = {site: grams for site, grams in _with_more_sites(job, snapshot, beside) if _is_less(grams, placement)}
    answer = Explanation(
        job_id,
        placement.expected_g,
        placement.run_now_g,
        None if alone is None else alone.expected_g,
        held_by,
        None if later is None else later.expected_g,
        elsewhere,
        "",
    )
    return replace(answer, sentence=_sentence(answer, placement, snapshot))


def _placed(job: PlanJob, residual: Residual) -> Placement | None:
    answer = preview(job, residual)
    return None if isinstance(answer, Unplaced) else answer


def _is_less(grams: float, placement: Placement) -> bool:
    return grams < placement.expected_g * (1 - CLEARLY)


def _in_the_way(plan: Plan, wish: Placement) -> Iterator[str]:
    """Jobs that hold GPUs on the same site at the same time as the wish."""
    for placement in plan.placements:
        if any(_meet(mine, other) for mine in wish.segments for other in placement.segments):
            yield placement.job_id


def _meet(a: PlannedSegment, b: PlannedSegment) -> bool:
    return a.site == b.site and a.start < b.end and b.start < a.end


def _with_more_sites(job: PlanJob, snapshot: Snapshot, beside: Residual) -> Iterator[tuple[str, float]]:
    known = {option.site for option in job.options}
    for site in snapshot.sites:
        if site.name not in known:
            answer = _placed(replace(job, options=(*job.options, replace(job.options[0], site=site.name))), beside)
            if answer is not None:
                yield site.name, answer.expected_g


def _sentence(answer: Explanation, placement: Placement, snapshot: Snapshot) -> str:
    where = ", ".join(dict.fromkeys(segment.site for segment in placement.segments))
    parts = [f"{window_text(placement.segments, snapshot.now)} at {where}: {grams_text(answer.chosen_g)}"]
    parts.append(f"{grams_text(answer.run_now_g)} if run at once at home")
    if answer.held_by:
        parts.append(f"alone it would emit {grams_text(answer.alone_g or 0.0)}, but {', '.join(answer.held_by)} hold the GPUs then")
    if answer.day_more_g is not None and _is_less(answer.day_more_g, placement):
        parts.append(f"a deadline one day later would save {grams_text(answer.chosen_g - answer.day_more_g)}")
    parts += [f"{site} would save {grams_text(answer.chosen_g - grams)} if it were allowed" for site, grams in answer.site_more_g.items()]
    return "; ".join(parts)
