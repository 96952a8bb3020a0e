"""Idempotency keys belong to whoever sent them; ended attempts are found by when they ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "submission_key",
        sa.Column("owner", sa.String(100), primary_key=True),
        sa.Column("key", _text_id(255), primary_key=True),
        sa.Column("job_id", _text_id(64), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
    )
    op.execute(
        "INSERT INTO submission_key (owner, key, job_id, digest) SELECT coalesce(job.owner, ''), idempotency_key.key, "
        "idempotency_key.job_id, idempotency_key.digest FROM idempotency_key JOIN job ON job.id = idempotency_key.job_id"
    )
    op.drop_table("idempotency_key")
    op.create_index("ix_attempt_ended_at", "attempt", ["ended_at"])


def _text_id(length: int) -> TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")
