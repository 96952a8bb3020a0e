"""Sums over the ledger, worked out by the database: a long past is not read to be added up."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Label, and_, case, func, select

from daemon.domain.ledger import EntryKind, LedgerTotals
from daemon.store import schema

_ENTRY, _JOB = schema.ledger_entry, schema.job
_SAVING_G = _ENTRY.c.baseline_g - _ENTRY.c.actual_g
_IS_KNOWN = _SAVING_G.is_not(None)
_IS_CLAIMED = and_(_ENTRY.c.kind != EntryKind.PROVISIONAL, _ENTRY.c.unsettled_hours == 0)  # as LedgerEntry.is_claimed
_MADE_SAMPLES = and_(_IS_KNOWN, _ENTRY.c.samples > 0)
_IN_REACH = and_(_IS_KNOWN, _ENTRY.c.hindsight_g.is_not(None))


def entries_that_count() -> FromClause:
    """The last settlement of each job that has any, joined to its job."""
    newest = select(_ENTRY.c.job_id, func.max(_ENTRY.c.sequence).label("sequence")).group_by(_ENTRY.c.job_id).subquery()
    is_newest = and_(_ENTRY.c.job_id == newest.c.job_id, _ENTRY.c.sequence == newest.c.sequence)
    return _ENTRY.join(newest, is_newest).join(_JOB, _JOB.c.id == _ENTRY.c.job_id)


def ledger_totals(connection: Connection, *seen: ColumnElement[bool]) -> LedgerTotals:
    """Over the jobs for which all the conditions hold."""
    row = connection.execute(select(*_SUMS).select_from(entries_that_count()).where(*seen)).one()
    return LedgerTotals(**row._mapping)


def _sum(name: str, amount: ColumnElement[Any], where: ColumnElement[bool] | None = None) -> Label[Any]:
    """0 where there is nothing to add up; an amount that is unknown adds nothing."""
    counted = amount if where is None else case((where, amount))
    return func.coalesce(func.sum(counted), 0).label(name)


_SUMS = (
    func.count().label("jobs"),
    _sum("energy_kwh", _ENTRY.c.energy_kwh),
    _sum("facility_energy_kwh", _ENTRY.c.facility_energy_kwh),
    _sum("measured_kwh", _ENTRY.c.measured_kwh),
    _sum("estimated_kwh", _ENTRY.c.estimated_kwh),
    _sum("simulated_kwh", _ENTRY.c.simulated_kwh),
    _sum("waste_kwh", _ENTRY.c.waste_kwh),
    _sum("actual_g", _ENTRY.c.actual_g, _IS_KNOWN),
    _sum("baseline_g", _ENTRY.c.baseline_g, _IS_KNOWN),
    _sum("claimed_saving_g", _SAVING_G, and_(_IS_KNOWN, _IS_CLAIMED)),
    _sum("reachable_saving_g", _SAVING_G, _IN_REACH),
    _sum("hindsight_saving_g", _ENTRY.c.baseline_g - _ENTRY.c.hindsight_g, _IN_REACH),
    _sum("samples", _ENTRY.c.samples, _MADE_SAMPLES),
    _sum("synthesis_kwh", _ENTRY.c.energy_kwh, _MADE_SAMPLES),
    _sum("synthesis_g", _ENTRY.c.actual_g, _MADE_SAMPLES),
)
