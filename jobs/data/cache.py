"""A growing array on disk: prepared once, read by every step and by every later attempt.

`NAME.f32` holds float32 items one after the other, `NAME.json` says under which key, from which sources and how far. Items are
on disk before the index claims them, and the index gives them up before they are overwritten, so a kill leaves at most some
bytes that nobody claims. Where a source has changed, what was made of those before it is kept: a damaged file that was
replaced costs what came after it, no more.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.rundir import write_aside


class ArrayCache:
    """Items of one shape, made source by source. Another key than the stored one means that everything is made anew.

    `source_keys` tell the sources apart, in order; without them the key stands for all.
    """

    def __init__(self, folder: Path, name: str, item_shape: tuple[int, ...], key: str, source_keys: Sequence[str] = ()) -> None:
        self._data_file = folder / f"{name}.f32"
        self._index_file = folder / f"{name}.json"
        self._item_shape = item_shape
        self._item_bytes = 4 * math.prod(item_shape)
        self._key = key
        self._source_keys = list(source_keys)
        self._counts: list[int] = []  # items of each finished source
        self._claims_more = False  # whether the stored index speaks of items that are going to be overwritten
        self.notes: dict[str, object] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._read_index()

    def add_source(self, items: list[NDArray[np.float32]], notes: dict[str, object] | None = None) -> None:
        """Append the items of the next source; on disk when this returns. `notes` are remembered beside them."""
        if self._claims_more:
            self._write_index()
            self._claims_more = False
        with self._data_file.open("r+b" if self._data_file.exists() else "w+b") as file:
            file.truncate(self.count * self._item_bytes)
            file.seek(0, os.SEEK_END)
            for item in items:
                file.write(np.ascontiguousarray(item, dtype=np.float32).tobytes())
            file.flush()
            os.fsync(file.fileno())
        self._counts.append(len(items))
        self.notes |= notes or {}
        self._write_index()

    @property
    def sources(self) -> int:
        """How many sources are finished."""
        return len(self._counts)

    @property
    def count(self) -> int:
        """Items of the finished sources."""
        return sum(self._counts)

    def array(self) -> NDArray[np.float32]:
        """All items, mapped from disk: memory is used only for what is being read."""
        if self.count == 0:
            return np.empty((0, *self._item_shape), dtype=np.float32)
        return np.memmap(self._data_file, dtype=np.float32, mode="r", shape=(self.count, *self._item_shape))

    def _write_index(self) -> None:
        index = {"key": self._key, "sources": self._source_keys[: self.sources], "counts": self._counts, "notes": self.notes}
        write_aside(self._index_file, json.dumps(index))

    def _read_index(self) -> None:
        self._claims_more = self._index_file.exists()
        try:
            index = json.loads(self._index_file.read_text(encoding="utf-8"))
            counts = [int(count) for count in index["counts"]]
            whole = self._data_file.stat().st_size >= sum(counts) * self._item_bytes
            if index["key"] == self._key and whole:
                self._counts = counts[: self._unchanged(index["sources"])] if self._source_keys else counts
                self.notes = dict(index["notes"]) if self._counts else {}
                self._claims_more = len(self._counts) < len(counts)
        except (OSError, ValueError, KeyError, TypeError):
            return  # none yet, or damaged: made anew

    def _unchanged(self, stored: Sequence[str]) -> int:
        """How many sources from the first on are the stored ones."""
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(stored, self._source_keys, strict=False))
        return sum(1 for _ in pairs)
