"""What recording some values changes, decided without touching the database."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from forecast.intensity import RecordedCounts

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class Changes(Generic[K, V]):
    """Rows to insert and to update by key, and the values that lost their place, in order."""

    inserted: dict[K, V] = field(default_factory=dict)
    updated: dict[K, V] = field(default_factory=dict)
    replaced: list[V] = field(default_factory=list)
    unchanged: int = 0

    @property
    def counts(self) -> RecordedCounts:
        return RecordedCounts(new=len(self.inserted), restated=len(self.replaced), unchanged=self.unchanged)


def merge(
    stored: Mapping[K, V],
    told: Iterable[V],
    key: Callable[[V], K],
    is_outdated: Callable[[V, V], bool],
    same: Callable[[V, V], V | None],
) -> Changes[K, V]:
    """Take `told` values in order over the `stored` ones.

    `is_outdated(current, value)`: the current value is the later word, the told one changes nothing.
    `same(current, value)`: the current value with what may be refreshed, or None if the told value is another one.
    """
    changes: Changes[K, V] = Changes()
    current = dict(stored)
    for value in told:
        place = key(value)
        before = current.get(place)
        if before is None:
            changes.inserted[place] = current[place] = value
        elif is_outdated(before, value):
            changes.unchanged += 1
        else:
            _take_over(changes, current, place, before, value, same(before, value))
    return changes


def _take_over(changes: Changes[K, V], current: dict[K, V], place: K, before: V, value: V, refreshed: V | None) -> None:
    if refreshed is None:
        changes.replaced.append(before)
    else:
        changes.unchanged += 1
    after = value if refreshed is None else refreshed
    if after != before:
        current[place] = after
        (changes.inserted if place in changes.inserted else changes.updated)[place] = after
