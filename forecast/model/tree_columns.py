"""What the trees look at for each window and hour ahead, with the linear forecast that they correct."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.model.features import (
    CALENDAR_COLUMNS,
    DAY_HOURS,
    EARLIER_HOURS,
    HORIZON_HOURS,
    WEEK_HOURS,
    SingleArray,
    by_lead,
)
from forecast.scoring import IntArray

_DAILY_MEANS = slice(WEEK_HOURS + DAY_HOURS + EARLIER_HOURS, WEEK_HOURS + DAY_HOURS + EARLIER_HOURS + 21)
_SCALARS = slice(_DAILY_MEANS.stop, _DAILY_MEANS.stop + 7)
_SMOOTH_CALENDAR = slice(-CALENDAR_COLUMNS, -7)
FULL_DAYS = HORIZON_HOURS // DAY_HOURS


def tree_columns(inputs: SingleArray, linear: SingleArray, leads: IntArray) -> list[SingleArray]:
    """The columns for the chosen `leads`, which count from 0: each (windows, leads), or (windows, 1) where it says the same of all of them.

    What `by_lead` says of the hour; the linear forecast around it (`linear` is that of all hours ahead); the state of the zone; how far
    ahead. There is no column for the zone: the linear forecast knows it, and the trees serve all zones alike.
    """
    hourly = np.concatenate([by_lead(inputs, leads), _around(linear, leads)], axis=2, dtype=np.float32)
    ahead = np.broadcast_to(leads.astype(np.float32), (len(inputs), len(leads)))
    return [*np.ascontiguousarray(np.moveaxis(hourly, 2, 0)), *_context(inputs, linear).T[:, :, None], ahead]


def joined(columns: Sequence[SingleArray]) -> SingleArray:
    """The columns of `tree_columns` as one row per window and hour, in this order: (windows * leads, columns)."""
    return np.stack(np.broadcast_arrays(*columns), axis=-1).reshape(-1, len(columns))


def _around(linear: SingleArray, leads: IntArray) -> SingleArray:
    """The linear forecast at each lead, what it changes by towards the hours around, and its mean over the day ahead."""
    here = linear[:, leads]
    changes = [linear[:, np.clip(leads + hours, 0, HORIZON_HOURS - 1)] - here for hours in (1, -1, 6, -6)]
    days = linear[:, : FULL_DAYS * DAY_HOURS].reshape(len(linear), FULL_DAYS, DAY_HOURS).mean(axis=2)
    return np.stack([here, *changes, days[:, np.minimum(leads // DAY_HOURS, FULL_DAYS - 1)]], axis=2)


def _context(inputs: SingleArray, linear: SingleArray) -> SingleArray:
    """The newest hours and days of the record, what is forecast as a whole, how restless the zone is, hour and season."""
    newest, yesterday = inputs[:, WEEK_HOURS - 1], inputs[:, WEEK_HOURS - 1 - DAY_HOURS]
    days = inputs[:, :WEEK_HOURS].reshape(len(inputs), 7, DAY_HOURS)[:, ::-1]
    means = days.mean(axis=2)
    state = [
        newest,
        newest - inputs[:, WEEK_HOURS - 2],
        newest - inputs[:, WEEK_HOURS - 4],
        newest - yesterday,
        newest - linear[:, 0],
        *(means[:, day] for day in (0, 1, 2, 6)),
        days[:, 0].std(axis=1),
        days[:, 0, -6:].mean(axis=1) - days[:, 1, -6:].mean(axis=1),
        linear[:, :DAY_HOURS].std(axis=1),
        linear.mean(axis=1),
        inputs[:, _DAILY_MEANS].mean(axis=1),
    ]
    return np.concatenate([np.stack(state, axis=1), inputs[:, _SCALARS], inputs[:, _SMOOTH_CALENDAR]], axis=1, dtype=np.float32)
