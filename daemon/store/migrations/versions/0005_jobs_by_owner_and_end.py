"""Jobs by state and owner, to count what one user has in the queue; by project and end, to sum up a month of many years."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("ix_job_state_owner_project", "job", ["state", "owner", "project"])
    op.create_index("ix_job_project_ended_at", "job", ["project", "ended_at"])
