"""The affine clock of a replay: grid time runs `speed` times as fast as real time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from forecast.timeline import as_utc


@dataclass(frozen=True, slots=True)
class AffineClock:
    """Maps real time to grid time: `grid_start` at `real_start`, then `speed` grid seconds a second. Raises ValueError if speed <= 0."""

    grid_start: datetime
    real_start: datetime
    speed: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid_start", as_utc(self.grid_start))
        object.__setattr__(self, "real_start", as_utc(self.real_start))
        if not self.speed > 0:
            raise ValueError(f"the replay speed must be above zero, got {self.speed}")

    def now(self) -> datetime:
        """The present moment in grid time."""
        return self.to_grid(datetime.now(UTC))

    def to_grid(self, real: datetime) -> datetime:
        """The grid time at which a real moment falls."""
        return self.grid_start + (as_utc(real) - self.real_start) * self.speed

    def to_real(self, grid: datetime) -> datetime:
        """The real moment at which grid time reaches `grid`."""
        return self.real_start + (as_utc(grid) - self.grid_start) / self.speed
