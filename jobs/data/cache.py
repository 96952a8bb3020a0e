"""A growing array on disk: prepared once, read by every step and by every later attempt.

`NAME.f32` holds float32 items one after the other, `NAME.json` says under which key and how far. The second is written
after the first, so a kill leaves at most some bytes that the next attempt overwrites.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.rundir import write_aside


class ArrayCache:
    """Items of one shape, made source by source. Another key than the stored one means that everything is made anew."""

    def __init__(self, folder: Path, name: str, item_shape: tuple[int, ...], key: str) -> None:
        self._data_file = folder / f"{name}.f32"
        self._index_file = folder / f"{name}.json"
        self._item_shape = item_shape
        self._item_bytes = 4 * math.prod(item_shape)
        self._key = key
        self.sources = 0  # finished ones
        self.count = 0  # items of the finished sources
        self.notes: dict[str, object] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._read_index()

    def add_source(self, items: list[NDArray[np.float32]], notes: dict[str, object] | None = None) -> None:
        """Append the items of the next source; on disk when this returns. `notes` are remembered beside them."""
        with self._data_file.open("r+b" if self._data_file.exists() else "w+b") as file:
            file.truncate(self.count * self._item_bytes)
            file.seek(0, os.SEEK_END)
            for item in items:
                file.write(np.ascontiguousarray(item, dtype=np.float32).tobytes())
            file.flush()
            os.fsync(file.fileno())
        self.sources += 1
        self.count += len(items)
        self.notes |= notes or {}
        index = {"key": self._key, "sources": self.sources, "items": self.count, "notes": self.notes}
        write_aside(self._index_file, json.dumps(index))

    def array(self) -> NDArray[np.float32]:
        """All items, mapped from disk: memory is used only for what is being read."""
        return np.memmap(self._data_file, dtype=np.float32, mode="r", shape=(self.count, *self._item_shape))

    def _read_index(self) -> None:
        try:
            index = json.loads(self._index_file.read_text(encoding="utf-8"))
            whole = self._data_file.stat().st_size >= index["items"] * self._item_bytes
            if index["key"] == self._key and whole:
                self.sources, self.count, self.notes = int(index["sources"]), int(index["items"]), dict(index["notes"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # none yet, or damaged: made anew
