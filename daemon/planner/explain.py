"""What a job's placement beats, what bound it, and what a day or a site more would save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.domain.explanation import Binding, Elsewhere, Explanation
from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.options import PlannerOptions
from daemon.planner.reasons import gpus_at_once, grams_text, window_text
from daemon.planner.residual import Residual, preview

DAY = timedelta(days=1)
CLEARLY = 0.01  # share of the job's emissions below which a difference is not worth a word
MOST_NAMED = 3  # jobs in the way that the sentence names; the list holds all


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The same job with more freedom: placements it would get, None where it would get none."""

    alone: Placement | None
    held_by: tuple[str, ...]
    day_more: Placement | None
    site_more: Mapping[str, tuple[Placement, Elsewhere]]


def anybody(_: str) -> bool:
    """The default for `may_name`."""
    return True


def explain(
    job_id: str, snapshot: Snapshot, plan: Plan, elsewhere: Sequence[Elsewhere] = (), may_name: Callable[[str], bool] = anybody
) -> Explanation | None:
    """Why the plan of this snapshot places the job as it does, or gives it no place; None if it says nothing of the job.

    `elsewhere`: the sites where the job may not run, with what it would cost there. `may_name`: whether whoever asks may hear of a
    job, by id; of others it hears only how many they are.
    """
    job = next((job for job in snapshot.jobs if job.id == job_id), None)
    placement = next((p for p in plan.placements if p.job_id == job_id), None)
    if job is None or placement is None:
        unplaced = next((u for u in plan.unplaced if u.job_id == job_id), None)
        return None if unplaced is None else _without_place(unplaced, plan)
    return _explained(job, placement, _wishes(job, placement, snapshot, plan, elsewhere), snapshot, plan, may_name)


def _without_place(unplaced: Unplaced, plan: Plan) -> Explanation:
    binding = Binding.BUDGET if unplaced.is_over_budget else Binding.ROOM
    return Explanation(unplaced.job_id, plan.made_at, None, (binding,), None, (), None, {}, unplaced.reason, unplaced.nearest_deadline)


def _explained(
    job: PlanJob, placement: Placement, wishes: _Wishes, snapshot: Snapshot, plan: Plan, may_name: Callable[[str], bool]
) -> Explanation:
    named = tuple(filter(may_name, wishes.held_by))
    bound_by = [Binding.CAPACITY] if wishes.held_by else []
    if _saves(wishes.day_more, placement):
        bound_by.append(Binding.DEADLINE)
    bound_by += [where.barrier for _, where in wishes.site_more.values()]
    return Explanation(
        job_id=placement.job_id,
        made_at=plan.made_at,
        placement=placement,
        bound_by=tuple(dict.fromkeys(bound_by)),
        alone_g=_grams(wishes.alone),
        held_by=named,
        day_more_g=_grams(wishes.day_more),
        site_more_g={name: there.expected_g for name, (there, _) in wishes.site_more.items()},
        sentence=_sentence(placement, wishes, snapshot, named, _at_once_text(job)),
        nearest_deadline=max(segment.end for segment in placement.segments) if placement.is_late else None,
    )


def _wishes(job: PlanJob, placement: Placement, snapshot: Snapshot, plan: Plan, elsewhere: Sequence[Elsewhere]) -> _Wishes:
    bold = PlannerOptions(wait_confidence=0.0, deadline_margin=0.0)
    others = replace(plan, placements=tuple(p for p in plan.placements if p.job_id != placement.job_id))
    beside, empty = Residual.of(snapshot, others, bold), Residual.of(snapshot, replace(plan, placements=()), bold)
    alone = _placed(job, empty)
    wider = ((where, _placed(replace(job, options=(*job.options, where.option)), beside)) for where in elsewhere)
    return _Wishes(
        alone,
        tuple(_in_the_way(others, alone, beside)) if alone is not None and _saves(alone, placement) else (),
        _placed(replace(job, deadline=job.deadline + DAY), beside),
        {where.option.site: (there, where) for where, there in wider if there is not None and _saves(there, placement)},
    )


def _placed(job: PlanJob, residual: Residual) -> Placement | None:
    answer = preview(job, residual)
    return None if isinstance(answer, Unplaced) else answer


def _saves(wish: Placement | None, placement: Placement) -> bool:
    return wish is not None and not wish.is_late and wish.expected_g < placement.expected_g * (1 - CLEARLY)


def _grams(placement: Placement | None) -> float | None:
    return None if placement is None else placement.expected_g


def _in_the_way(others: Plan, wish: Placement, beside: Residual) -> Iterator[str]:
    """Jobs that hold GPUs where the wish would work and too few are left."""
    full = [segment for segment in wish.segments if _is_full(segment, beside, gpus_at_once(wish.segments, segment))]
    for placement in others.placements:
        if any(_meet(mine, other) for mine in full for other in placement.segments):
            yield placement.job_id


def _is_full(segment: PlannedSegment, beside: Residual, gpus: int) -> bool:
    """Whether fewer GPUs than the job needs are free somewhere in the segment."""
    terrain = beside.terrain
    first, last = terrain.cell(terrain.seconds(segment.start)), terrain.cell_after(terrain.seconds(segment.end))
    return int(beside.free[terrain.index[segment.site], first:last].min()) < gpus


def _meet(a: PlannedSegment, b: PlannedSegment) -> bool:
    return a.site == b.site and a.start < b.end and b.start < a.end


def _sentence(placement: Placement, wishes: _Wishes, snapshot: Snapshot, named: Sequence[str], at_once: str) -> str:
    where = ", ".join(dict.fromkeys(segment.site for segment in placement.segments))
    window, beaten = window_text(placement.segments, snapshot.now), _beaten_text(placement, at_once)
    parts = [f"{window} at {where}: {grams_text(placement.expected_g)}, {beaten}"]
    if wishes.held_by and wishes.alone is not None:
        verb = "holds" if len(wishes.held_by) == 1 else "hold"
        parts.append(
            f"alone it would emit {grams_text(wishes.alone.expected_g)}, but {_holders(named, len(wishes.held_by))} {verb} the GPUs then"
        )
    if wishes.day_more is not None and _saves(wishes.day_more, placement):
        parts.append(f"a deadline one day later would save {_saved_text(placement, wishes.day_more)}")
    for name, (there, elsewhere) in wishes.site_more.items():
        parts.append(f"{name} would save {_saved_text(placement, there)} if {elsewhere.remedy}")
    return "; ".join(parts)


def _at_once_text(job: PlanJob) -> str:
    """What placements are held against: home may be closed to work, as it is to what was begun elsewhere."""
    return "running at once at home" if any(option.site == job.home for option in job.options) else "running at once where it may"


def _beaten_text(placement: Placement, at_once: str) -> str:
    less = placement.run_now_g - placement.expected_g
    if placement.run_now_g <= 0 or abs(less) < CLEARLY * placement.run_now_g:
        return f"as much as {at_once}"
    word = "less" if less > 0 else "more"
    return f"{grams_text(abs(less))} ({100 * abs(less) / placement.run_now_g:.0f} %) {word} than {at_once}"


def _saved_text(placement: Placement, wish: Placement) -> str:
    return grams_text(placement.expected_g - wish.expected_g)


def _holders(named: Sequence[str], count: int) -> str:
    """Some of `count` jobs by name."""
    if not named:
        return "a job of another project" if count == 1 else f"{count} jobs of other projects"
    told = named[:MOST_NAMED]
    return ", ".join(told) + (f" and {count - len(told)} more" if count > len(told) else "")
