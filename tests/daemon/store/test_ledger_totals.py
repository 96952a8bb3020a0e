"""Sums and newest entries that the database works out equal those made entry by entry."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.job import Job
from daemon.domain.ledger import EntryKind, LedgerEntry, LedgerTotals
from daemon.domain.states import JobState
from daemon.store import Store
from tests.daemon.store.builders import HOUR, MONDAY, entry, event, job, terms

grams = st.none() | st.floats(0, 1e6)
entries = st.builds(
    entry,
    energy_kwh=st.floats(0, 1e4),
    measured_kwh=st.floats(0, 1e4),
    actual_g=grams,
    baseline_g=grams,
    hindsight_g=grams,
    kind=st.sampled_from(EntryKind),
    unsettled_hours=st.integers(0, 1),
    samples=st.integers(0, 3),
)


def by_hand(counted: list[LedgerEntry]) -> LedgerTotals:
    known = [one for one in counted if one.actual_g is not None and one.baseline_g is not None]
    reachable = [one for one in known if one.hindsight_g is not None]
    made = [one for one in known if one.samples]
    return LedgerTotals(
        jobs=len(counted),
        energy_kwh=sum(one.energy_kwh for one in counted),
        facility_energy_kwh=sum(one.facility_energy_kwh for one in counted),
        measured_kwh=sum(one.measured_kwh for one in counted),
        estimated_kwh=sum(one.estimated_kwh for one in counted),
        simulated_kwh=sum(one.simulated_kwh for one in counted),
        waste_kwh=sum(one.waste_kwh for one in counted),
        actual_g=sum(one.actual_g or 0.0 for one in known),
        baseline_g=sum(one.baseline_g or 0.0 for one in known),
        claimed_saving_g=sum(one.saving_g or 0.0 for one in known if one.is_claimed),
        reachable_saving_g=sum(one.saving_g or 0.0 for one in reachable),
        hindsight_saving_g=sum((one.baseline_g or 0.0) - (one.hindsight_g or 0.0) for one in reachable),
        samples=sum(one.samples for one in made),
        synthesis_kwh=sum(one.energy_kwh for one in made),
        synthesis_g=sum(one.actual_g or 0.0 for one in made),
    )


def check_equal(found: LedgerTotals, expected: LedgerTotals) -> None:
    for name in LedgerTotals.__slots__:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-3), name


@given(st.lists(st.lists(entries, max_size=3), max_size=5))
@settings(max_examples=15, deadline=None)
def test_totals_equal_the_sums_of_the_last_entries(shaped_file: Path, told: list[list[LedgerEntry]]) -> None:
    with TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{shutil.copy(shaped_file, folder)}")
        with store.write() as writer:
            for number, mine in enumerate(told):
                writer.add_job(job(f"j{number}"), event(f"j{number}"))
                for sequence, one in enumerate(mine, 1):
                    writer.add_ledger_entry(replace(one, job_id=f"j{number}", sequence=sequence))
            counted = [one for _, one in writer.latest_entries()]
            assert len(counted) == sum(bool(mine) for mine in told)
            check_equal(writer.ledger_totals(), by_hand(counted))
        store.close()


def ended(name: str, project: str, hours: int, owner: str | None = None) -> Job:
    return job(name, project=project, state=JobState.SUCCEEDED, started_at=MONDAY, ended_at=MONDAY + hours * HOUR, owner=owner)


def test_totals_are_of_the_project_the_span_and_the_jobs_that_the_caller_sees(store: Store) -> None:
    with store.write() as writer:
        for number, one in enumerate((ended("a", "ct", 1), ended("b", "ct", 2), ended("c", "mr", 2), ended("d", "pet", 3, "ada")), 1):
            writer.add_job(one, event(one.id))
            writer.add_ledger_entry(entry(one.id, actual_g=10.0**number))
        ada = Caller("ada", projects=frozenset({"mr"}))
        asked = [writer.ledger_totals("ct"), writer.ledger_totals(start=MONDAY + 2 * HOUR, end=MONDAY + 3 * HOUR)]
        asked += [writer.ledger_totals(caller=ada), writer.ledger_totals("ct", caller=ada), writer.ledger_totals(caller=OPERATOR)]
    assert [totals.actual_g for totals in asked] == pytest.approx([110, 1100, 11000, 0, 11110])
    assert [totals.jobs for totals in asked] == [2, 2, 2, 0, 4]


def test_open_accounts_and_those_added_to_lately_are_named_with_what_would_change(store: Store) -> None:
    jobs = {name: ended(name, "ct", 1) for name in ("unsettled", "lately", "long ago", "adjusted")}
    with store.write() as writer:
        for one in (*jobs.values(), job("lives", version=7)):
            writer.add_job(replace(one, settled=one.id not in ("unsettled", "lives")), event(one.id))
        for name, sequence, hours in (("unsettled", 1, 1), ("lately", 1, 9), ("long ago", 1, 1), ("adjusted", 1, 1), ("adjusted", 2, 9)):
            writer.add_ledger_entry(entry(name, sequence, settled_at=MONDAY + hours * HOUR, baseline_seconds=100.0 * sequence + hours))
        found = writer.settling_since(MONDAY + 9 * HOUR)
        assert found == {"unsettled": (1, 1), "lives": (7, None), "lately": (1, 1), "adjusted": (1, 2)}
        assert writer.baseline_seconds(["adjusted", "lives", "unsettled"]) == {"adjusted": 209.0, "unsettled": 101.0}


def test_what_accounts_were_opened_on_comes_back_to_the_last_bit_and_once(store: Store) -> None:
    with store.write() as writer:
        for number in (1, 2):
            writer.add_job(job(f"job-{number}"), event(f"job-{number}"))
        writer.add_account_terms("job-1", terms())
    with store.read() as reader:
        assert reader.account_terms(["job-1", "job-2", "job-3"]) == {"job-1": terms()}
        assert reader.account_terms([]) == {}
    with pytest.raises(IntegrityError) as told, store.write() as writer:
        writer.add_account_terms("job-1", terms())
    assert "transfer_kwh_per_gb" not in str(told.value)  # what is recorded stays out of errors, which end in logs
