"""The one database that holds the truth: jobs, runs, attempts, events, plans, ledger and recorded grid history."""

from daemon.store.errors import BackwardsState, DiskFull, StaleWrite, StoreError, StoreUnavailable
from daemon.store.reader import Reader
from daemon.store.store import Store
from daemon.store.writer import Writer

__all__ = ["BackwardsState", "DiskFull", "Reader", "StaleWrite", "Store", "StoreError", "StoreUnavailable", "Writer"]
