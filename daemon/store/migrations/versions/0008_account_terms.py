"""What each account is opened on: sites change and cost models learn, accounts do not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    job_id = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    op.create_table(
        "account_terms",
        sa.Column("job_id", job_id, sa.ForeignKey("job.id", name="fk_account_terms_job_id_job"), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_account_terms"),
    )
