"""Forecasts combined from the provider's and ours are archived beside both; forecasts are found by issue without looking at all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("vintage", sa.Column("is_combined", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_vintage_zone_kind_rung_issued_at", "vintage", ["zone", "kind", "rung", "issued_at"])
