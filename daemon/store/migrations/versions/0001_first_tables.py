"""First tables: jobs and what became of them, plans, the ledger, recorded grid history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

SEQUENCE: TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_jobs()
    _create_runs_and_attempts()
    _create_events()
    _create_ledger()
    _create_plans_and_observations()
    _create_readings()
    _create_forecasts()
    _create_period_means()


def _text_id(length: int = 64) -> TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _job_reference(primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("job_id", _text_id(), sa.ForeignKey("job.id"), primary_key=primary_key, nullable=False)


def _create_jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", _text_id(), primary_key=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("project", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("home", sa.String(200), nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("needs", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("planned", sa.Text, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("estimated_energy_kwh", sa.Double),
        sa.Column("estimated_seconds", sa.Double),
    )
    op.create_index("ix_job_state_kind", "job", ["state", "kind"])
    op.create_index("ix_job_project_id", "job", ["project", "id"])
    op.create_index("ix_job_ended_at", "job", ["ended_at"])
    op.create_table(
        "idempotency_key",
        sa.Column("key", _text_id(255), primary_key=True),
        _job_reference(),
        sa.Column("digest", sa.String(128), nullable=False),
    )


def _create_runs_and_attempts() -> None:
    op.create_table(
        "run",
        sa.Column("id", _text_id(), primary_key=True),
        _job_reference(),
        sa.Column("site", sa.String(200), nullable=False),
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("samples", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("steps_done", sa.Integer, nullable=False),
        sa.Column("transferred_gb", sa.Double, nullable=False),
    )
    op.create_index("ix_run_job_id", "run", ["job_id"])
    op.create_table(
        "attempt",
        sa.Column("id", _text_id(), primary_key=True),
        sa.Column("run_id", _text_id(), sa.ForeignKey("run.id"), nullable=False),
        _job_reference(),
        sa.Column("site", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("gpus", sa.Integer, nullable=False),
        sa.Column("native_id", sa.String(200)),
        sa.Column("stop_wish", sa.String(32)),
        sa.Column("stop_wished_at", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
    )
    for column in ("run_id", "job_id", "state"):
        op.create_index(f"ix_attempt_{column}", "attempt", [column])


def _create_events() -> None:
    op.create_table(
        "event",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
        _job_reference(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("ix_event_job_id_sequence", "event", ["job_id", "sequence"])


def _create_ledger() -> None:
    known = ("energy", "facility_energy", "useful", "waste", "overhead", "measured", "estimated", "simulated")
    perhaps_unknown = ("actual_g", "overhead_g", "baseline_g", "hindsight_g", "saving_by_time_g", "saving_by_place_g")
    op.create_table(
        "ledger_entry",
        _job_reference(primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("settled_at", sa.BigInteger, nullable=False),
        sa.Column("intensity_kind", sa.String(64), nullable=False),
        *(sa.Column(f"{name}_kwh", sa.Double, nullable=False) for name in known),
        *(sa.Column(name, sa.Double) for name in perhaps_unknown),
        sa.Column("baseline_site", sa.String(200), nullable=False),
        sa.Column("baseline_start", sa.BigInteger, nullable=False),
        sa.Column("baseline_is_estimated", sa.Boolean, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("unsettled_hours", sa.Integer, nullable=False),
        sa.Column("worst_rung", sa.Integer, nullable=False),
        sa.Column("baseline_seconds", sa.Double, nullable=False),
    )
    op.create_index("ix_ledger_entry_settled_at", "ledger_entry", ["settled_at"])


def _create_plans_and_observations() -> None:
    op.create_table(
        "plan",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "run_observation",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("hardware", sa.String(200), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("ix_run_observation_hardware", "run_observation", ["hardware"])


def _create_readings() -> None:
    def value_columns() -> list[sa.Column[object]]:
        return [
            sa.Column("g_per_kwh", sa.Double, nullable=False),
            sa.Column("source", sa.Text, nullable=False),
            sa.Column("known_at", sa.BigInteger, nullable=False),
            sa.Column("estimated", sa.Boolean, nullable=False),
            sa.Column("estimation_method", sa.Text),
            sa.Column("release", sa.Text),
        ]

    op.create_table("reading", *_interval_columns(primary_key=True), *value_columns())
    op.create_table(
        "replaced_reading",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        *_interval_columns(primary_key=False),
        *value_columns(),
        sa.Column("replaced_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_replaced_reading_zone_kind_start", "replaced_reading", ["zone", "kind", "start"])


def _create_forecasts() -> None:
    op.create_table(
        "vintage",
        sa.Column("zone", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("rung", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("issued_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("known_at", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("step_microseconds", sa.BigInteger, nullable=False),
        sa.Column("g_per_kwh", sa.LargeBinary, nullable=False),
        sa.Column("low", sa.LargeBinary),
        sa.Column("high", sa.LargeBinary),
    )
    op.create_index("ix_vintage_issued_at", "vintage", ["issued_at"])


def _create_period_means() -> None:
    def value_columns() -> list[sa.Column[object]]:
        return [
            sa.Column("g_per_kwh", sa.Double, nullable=False),
            sa.Column("release", sa.Text),
            sa.Column("recorded_at", sa.BigInteger, nullable=False),
        ]

    op.create_table(
        "period_mean", *_interval_columns(primary_key=True), sa.Column("source", sa.String(200), primary_key=True), *value_columns()
    )
    op.create_table(
        "replaced_period_mean",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        *_interval_columns(primary_key=False),
        sa.Column("source", sa.String(200), nullable=False),
        *value_columns(),
        sa.Column("replaced_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_replaced_period_mean_zone_kind_start", "replaced_period_mean", ["zone", "kind", "start"])


def _interval_columns(primary_key: bool) -> list[sa.Column[object]]:
    return [
        sa.Column("zone", sa.String(64), primary_key=primary_key, nullable=False),
        sa.Column("kind", sa.String(64), primary_key=primary_key, nullable=False),
        sa.Column("start", sa.BigInteger, primary_key=primary_key, nullable=False, autoincrement=False),
        sa.Column("end", sa.BigInteger, primary_key=primary_key, nullable=False, autoincrement=False),
    ]
