"""What a job asked of the GPUs when it came, to be recalled without its request; unknown for the jobs that are there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("job", sa.Column("gpus_at_most", sa.Integer))
    op.add_column("job", sa.Column("shortest_seconds", sa.Double))
