"""The one clock. Live, it is the computer's; in a replay, an affine map from real to grid time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from forecast.timeline import as_utc


def real_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Grid time = grid_start + rate x (real time - real_start). Raises ValueError for a rate that is not positive.

    Nodes stamp real UTC; `to_grid` maps their stamps once, when the daemon reads them. In a replay joules
    are real and hours are compressed: every report of such a run says so.
    """

    real_start: datetime
    grid_start: datetime
    rate: float = 1.0
    real: Callable[[], datetime] = real_now

    def __post_init__(self) -> None:
        object.__setattr__(self, "real_start", as_utc(self.real_start))
        object.__setattr__(self, "grid_start", as_utc(self.grid_start))
        if not self.rate > 0:
            raise ValueError(f"the clock's rate must be above zero, got {self.rate}")

    @classmethod
    def live(cls) -> Clock:
        origin = datetime(2000, 1, 1, tzinfo=UTC)
        return cls(origin, origin)

    @property
    def is_replay(self) -> bool:
        return self.rate != 1.0 or self.real_start != self.grid_start

    def now(self) -> datetime:
        """The present moment in grid time."""
        return self.to_grid(self.real())

    def to_grid(self, real: datetime) -> datetime:
        """The grid time at which a real moment falls."""
        return self.grid_start + (as_utc(real) - self.real_start) * self.rate

    def grid_seconds(self, real_seconds: float) -> float:
        """How long `real_seconds` of work at a node lasts on the grid's clock."""
        return real_seconds * self.rate

    def real_seconds(self, grid_seconds: float) -> float:
        """How long a node really works while `grid_seconds` pass on the grid's clock."""
        return grid_seconds / self.rate
