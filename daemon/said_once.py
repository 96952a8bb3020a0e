"""JSON whose objects say each thing once: of two values for one key, parsers keep the last, and whoever sent both wanted one of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from daemon.printable import visible


class SaidTwice(ValueError):
    """A key stands twice in one object; `str()` is a sentence."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{visible(repr(key))} stands twice in one object: keep one of them")


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`. Raises SaidTwice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = Counter(key for key, _ in pairs)
        raise SaidTwice(max(keys, key=keys.__getitem__))
    return found
