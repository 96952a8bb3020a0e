"""The one clock. Live, it is the computer's; in a replay, an affine map from real to grid time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forecast.timeline import as_utc


def real_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Grid time = grid_origin + rate x (real time - real_origin).

    Nodes stamp real UTC; `to_grid` maps their stamps once, when the daemon reads them. In a replay joules
    are real and hours are compressed: every report of such a run says so.
    """

    real_origin: datetime
    grid_origin: datetime
    rate: float = 1.0
    real: Callable[[], datetime] = real_now

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"the clock's rate must be positive, got {self.rate}")

    @classmethod
    def live(cls) -> Clock:
        origin = datetime(2000, 1, 1, tzinfo=UTC)
        return cls(origin, origin)

    @property
    def is_replay(self) -> bool:
        return self.rate != 1.0 or self.real_origin != self.grid_origin

    def now(self) -> datetime:
        return self.to_grid(self.real())

    def to_grid(self, real: datetime) -> datetime:
        if not self.is_replay:
            return as_utc(real)
        return self.grid_origin + timedelta(seconds=(as_utc(real) - self.real_origin).total_seconds() * self.rate)

    def grid_seconds(self, real_seconds: float) -> float:
        """How long `real_seconds` of work at a node lasts on the grid's clock."""
        return real_seconds * self.rate

    def real_seconds(self, grid_seconds: float) -> float:
        return grid_seconds / self.rate
