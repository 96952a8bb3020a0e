"""Alembic's entry: runs the migrations on the connection, and in the transaction, that `daemon.store.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
