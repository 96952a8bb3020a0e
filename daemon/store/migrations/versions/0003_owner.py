"""Who submitted a job, for fair shares; unknown for the jobs that are there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("job", sa.Column("owner", sa.String(100)))
