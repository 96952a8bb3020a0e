"""How much of a ledger entry's time no meter told the energy of; unknown for the entries that are there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("ledger_entry", sa.Column("unmetered_seconds", sa.Double))
