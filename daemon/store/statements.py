"""The statements that every tick makes again and again, built once: what a statement compiles to is remembered with it.

Building one takes three times as long as what the database does with it. Columns stand in the order of the dataclass that a row becomes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from daemon.domain.job import Attempt, Job, Run, StopWish
from daemon.domain.states import AttemptState, JobState, attempt_states_before, states_before
from daemon.store import schema

KEPT_PLANS = 50

# The fields in which a record changes once it is there; the others were fixed as it came to be.
JOB_CHANGES = ("state", "reason", "version", "cancel_requested", "retries", "started_at", "ended_at", "planned", "settled")
RUN_CHANGES = ("closed_at", "steps_done", "transferred_gb")
ATTEMPT_CHANGES = ("state", "native_id", "started_at", "ended_at", "reason")  # and its wish to stop, unless a stronger one is there


def columns_of(table: Table, kind: type[Any]) -> list[Column[Any]]:
    """The table's columns that hold the dataclass's fields, in their order."""
    return [table.c[field.name] for field in dataclasses.fields(kind)]


def _one(table: Table, kind: type[Any]) -> Select[Any]:
    return select(*columns_of(table, kind)).where(table.c.id == bindparam("id"))


def _among(table: Table, kind: type[Any]) -> Select[Any]:
    return select(*columns_of(table, kind)).where(table.c.id.in_(bindparam("ids", expanding=True)))


def _of_jobs(table: Table, kind: type[Any], ids: Select[Any] | BindParameter[Any]) -> Select[Any]:
    return select(*columns_of(table, kind)).where(table.c.job_id.in_(ids)).order_by(table.c.created_at, table.c.id)


def _first(recorded: Column[Any], given: str) -> ColumnElement[Any]:
    """What is recorded; the parameter `given` where nothing is."""
    return func.coalesce(recorded, bindparam(given, type_=recorded.type))


def _stronger(recorded: Column[Any], given: str) -> ColumnElement[Any]:
    """Of two wishes: cancelling outweighs abandoning, that outweighs suspending, and each outweighs nothing."""
    wish = bindparam(given, type_=recorded.type)
    outweighing = ((or_(recorded == one, wish == one), literal(one, recorded.type)) for one in (StopWish.CANCEL, StopWish.ABANDON))
    return case(*outweighing, else_=_first(recorded, given))


_job, _run, _attempt = schema.job, schema.run, schema.attempt

ONE_JOB, ONE_RUN, ONE_ATTEMPT = _one(_job, Job), _one(_run, Run), _one(_attempt, Attempt)
JOBS_AMONG, RUNS_AMONG = _among(_job, Job), _among(_run, Run)
_ids: BindParameter[Any] = bindparam("ids", expanding=True)
RUNS_OF, ATTEMPTS_OF = _of_jobs(_run, Run, _ids), _of_jobs(_attempt, Attempt, _ids)
_is_live = or_(*(_job.c.state == state for state in JobState if not state.is_final))  # a list of them would be written out anew each time
LIVE_JOBS = select(*columns_of(_job, Job)).where(_is_live).order_by(_job.c.id)
LIVE_VERSIONS = select(_job.c.id, _job.c.version).where(_is_live, _job.c.id.in_(bindparam("ids", expanding=True)))
_live_ids = select(_job.c.id).where(_is_live)
RUNS_OF_LIVE, ATTEMPTS_OF_LIVE = _of_jobs(_run, Run, _live_ids), _of_jobs(_attempt, Attempt, _live_ids)
ATTEMPTS_IN = (
    select(*columns_of(_attempt, Attempt))
    .where(_attempt.c.state.in_(bindparam("states", expanding=True)))
    .order_by(_attempt.c.created_at, _attempt.c.id)
)
STATE_AND_VERSION = select(_job.c.state, _job.c.version).where(_job.c.id == bindparam("id"))
REASONS_AMONG = select(_job.c.id, _job.c.reason).where(_job.c.id.in_(bindparam("ids", expanding=True)))

# inline: nobody asks for the numbers that the database gives, which would be one more answer to wait for.
ADD_JOB, ADD_RUN, ADD_ATTEMPT, ADD_EVENT, ADD_KEY, ADD_PLAN = (
    insert(table).inline() for table in (_job, _run, _attempt, schema.event, schema.submission_key, schema.plan)
)
# The columns to change are the keys of what they are executed with.
CHANGE_JOB = update(_job).where(_job.c.id == bindparam("of_job"), _job.c.version == bindparam("seen"))
CHANGE_JOB_TO = {
    wanted: CHANGE_JOB.where(or_(*(_job.c.state == state for state in sorted(states_before(wanted))))) for wanted in JobState
}  # by the state that it comes to: from one that it may follow, else no row changes
CHANGE_RUN = update(_run).where(_run.c.id == bindparam("of_run"))
CHANGE_ATTEMPT_TO = {
    wanted: update(_attempt)
    .where(_attempt.c.id == bindparam("of_attempt"), or_(*(_attempt.c.state == state for state in sorted(attempt_states_before(wanted)))))
    .values(stop_wish=_stronger(_attempt.c.stop_wish, "wish"), stop_wished_at=_first(_attempt.c.stop_wished_at, "wished_at"))
    for wanted in AttemptState
}  # by the state that it comes to, as above
TELL_STEPS = CHANGE_RUN.values(steps_done=bindparam("reached"))
TELL_PLAN = CHANGE_JOB.values(planned=bindparam("segments"), reason=bindparam("why"), version=_job.c.version + 1)
_kept = select(schema.plan.c.id).order_by(schema.plan.c.id.desc()).limit(KEPT_PLANS)
FORGET_PLANS = delete(schema.plan).where(schema.plan.c.id.not_in(_kept.scalar_subquery()))
