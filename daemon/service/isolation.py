"""What one job can break must stop no other: the tick goes through jobs one by one, and a poisoned one fails alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.domain.errors import Hindered
from daemon.store import StaleWrite, StoreUnavailable

log = logging.getLogger(__name__)


@contextmanager
def poisoned_alone(during: str, **facts: object) -> Iterator[None]:
    """Log whatever goes wrong inside, and go on behind it.

    What is foreseen passes through: a stale write, and what concerns everybody, a database out of reach or a daemon that must not act.
    """
    try:
        yield
    except (StaleWrite, StoreUnavailable, Hindered):
        raise
    except Exception:  # an error we did not foresee, in one job's own affairs
        log.exception("job-poisoned", extra={"during": during, **facts})
