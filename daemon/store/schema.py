"""The tables. Columns carry the names of the dataclass fields they hold; times are grid time.

A job has one row for *now* and one event per *step*. Events and ledger entries are only ever appended.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

from daemon.domain.job import DataTag, JobRequest, PlannedSegment, StopWish
from daemon.domain.ledger import EntryKind
from daemon.domain.states import AttemptState, JobState
from daemon.domain.terms import AccountTerms
from daemon.store.columns import SEQUENCE, Document, Instant, Word, text_id
from jobs.energy.observation import RunObservation
from jobs.spec import SampleRange

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

job = Table(
    "job",
    metadata,
    Column("id", text_id(), primary_key=True),
    Column("request", Document(JobRequest), nullable=False),
    Column("project", String(100), nullable=False),  # copied from the request, to ask by
    Column("kind", String(32), nullable=False),  # copied from the request, to count by
    Column("state", Word(JobState), nullable=False),
    Column("reason", Text, nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("home", String(200), nullable=False),
    Column("deadline", Instant, nullable=False),
    Column("needs", Word(DataTag), nullable=False),
    Column("version", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("planned", Document(tuple[PlannedSegment, ...]), nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("estimated_energy_kwh", Double),
    Column("estimated_seconds", Double),
    Column("owner", String(100)),
    Column("gpus_at_most", Integer),
    Column("shortest_seconds", Double),
    Index(None, "state", "kind"),
    Index(None, "state", "owner", "project"),
    Index(None, "project", "id"),
    Index(None, "project", "ended_at"),
    Index(None, "ended_at"),
)

run = Table(
    "run",
    metadata,
    Column("id", text_id(), primary_key=True),
    Column("job_id", text_id(), ForeignKey("job.id"), nullable=False, index=True),
    Column("site", String(200), nullable=False),
    Column("directory", Text, nullable=False),
    Column("samples", Document(SampleRange)),
    Column("created_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("steps_done", Integer, nullable=False),
    Column("transferred_gb", Double, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", text_id(), primary_key=True),
    Column("run_id", text_id(), ForeignKey("run.id"), nullable=False, index=True),
    Column("job_id", text_id(), ForeignKey("job.id"), nullable=False, index=True),
    Column("site", String(200), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Word(AttemptState), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("native_id", String(200)),
    Column("stop_wish", Word(StopWish)),
    Column("stop_wished_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant, index=True),
    Column("reason", Text, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
    Column("job_id", text_id(), ForeignKey("job.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "job_id", "sequence"),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("job_id", text_id(), ForeignKey("job.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", Word(EntryKind), nullable=False),
    Column("settled_at", Instant, nullable=False, index=True),
    Column("intensity_kind", String(64), nullable=False),
    Column("energy_kwh", Double, nullable=False),
    Column("facility_energy_kwh", Double, nullable=False),
    Column("useful_kwh", Double, nullable=False),
    Column("waste_kwh", Double, nullable=False),
    Column("overhead_kwh", Double, nullable=False),
    Column("measured_kwh", Double, nullable=False),
    Column("estimated_kwh", Double, nullable=False),
    Column("simulated_kwh", Double, nullable=False),
    Column("actual_g", Double),
    Column("overhead_g", Double),
    Column("baseline_site", String(200), nullable=False),
    Column("baseline_start", Instant, nullable=False),
    Column("baseline_g", Double),
    Column("baseline_is_estimated", Boolean, nullable=False),
    Column("hindsight_g", Double),
    Column("saving_by_time_g", Double),
    Column("saving_by_place_g", Double),
    Column("samples", Integer, nullable=False),
    Column("unsettled_hours", Integer, nullable=False),
    Column("worst_rung", Integer, nullable=False),
    Column("baseline_seconds", Double, nullable=False),
    Column("unmetered_seconds", Double),
)

account_terms = Table(
    "account_terms",
    metadata,
    Column("job_id", text_id(), ForeignKey("job.id"), primary_key=True),
    Column("document", Document(AccountTerms), nullable=False),
)

plan = Table(
    "plan",
    metadata,
    Column("id", SEQUENCE, primary_key=True, autoincrement=True),
    Column("made_at", Instant, nullable=False),
    Column("document", LargeBinary, nullable=False),  # the Plan as compressed JSON
)

submission_key = Table(
    "submission_key",
    metadata,
    Column("owner", String(100), primary_key=True),  # whose key it is: the name of the token it came with; empty without tokens
    Column("key", text_id(255), primary_key=True),
    Column("job_id", text_id(), ForeignKey("job.id"), nullable=False),
    Column("digest", String(128), nullable=False),
)

run_observation = Table(
    "run_observation",
    metadata,
    Column("id", SEQUENCE, primary_key=True, autoincrement=True),
    Column("hardware", String(200), nullable=False, index=True),
    Column("document", Document(RunObservation), nullable=False),
)
