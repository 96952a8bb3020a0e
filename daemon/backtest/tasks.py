"""Jobs of a trace as the planner sees them."""

from __future__ import annotations

from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World
from daemon.domain.plan import Mode, PlanJob
from daemon.planner.task import Choice, Task


def task_of(world: World, job: TraceJob) -> Task:
    """The job with every site that may run it, its speed and power there, home first."""
    mode = Mode.INTERRUPTIBLE if job.is_interruptible else Mode.CONTIGUOUS
    home = world.sites[world.home_of(job)].name
    choices = tuple(choice_at(world, job, site) for site in world.sites_of(job))
    planned = PlanJob(job.id, mode, job.gpus, job.arrival, job.arrival, job.deadline, (), home)
    return Task(planned, world.seconds(job.arrival), world.seconds(job.deadline), choices, running=-1)


def choice_at(world: World, job: TraceJob, site: int) -> Choice:
    """The job on that site's hardware, with what it takes to bring its data there."""
    place = world.sites[site]
    once_kwh = 0.0 if site == world.home_of(job) else job.transfer_gb * place.transfer_kwh_per_gb / place.pue
    seconds, kilowatts = job.duration.total_seconds() / place.speed, job.power_watts / 1000 * place.power_factor
    return Choice(site, seconds, kilowatts, 0.0, 0.0, once_kwh)
