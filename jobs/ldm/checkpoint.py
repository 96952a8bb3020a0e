"""Checkpoints: whole files with a checksum beside them, so that a torn or rotten one is recognised and passed over.

`NNNNNNNNNNNN.pt` holds tensors and plain values only (readable with `weights_only=True`: a checkpoint can never run
code), `NNNNNNNNNNNN.pt.sha256` its digest, written after it. The newest two are kept: one to resume from, one in reserve.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch

from jobs.rundir import write_aside
from jobs.session import log

State = dict[str, Any]

_KEPT = 2


class Checkpoints:
    """The checkpoints of one run, named by a number that only grows as the run proceeds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, step: int, state: State) -> None:
        """Write the checkpoint and its checksum, then drop the ones no longer needed. Raises OSError; the older ones stay."""
        path = self._folder / f"{step:012d}.pt"
        write_aside(_checksum_file(path), save_tensors(path, state))
        for old in self._newest_first()[_KEPT:]:
            _remove(old)

    def newest_sound(self) -> State | None:
        """The newest checkpoint whose checksum is right; None if there is none. Unsound ones are removed, and the log says so."""
        for path in self._newest_first():
            state = _load_if_sound(path)
            if state is not None:
                log.info("resuming from checkpoint %s", path.name)
                return state
            log.warning("checkpoint %s is damaged (checksum or content): removed, falling back to the one before", path.name)
            _remove(path)
        return None

    def clear(self) -> None:
        """Remove them all, where what they hold has become a finished file."""
        for path in self._newest_first():
            _remove(path)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.pt"), reverse=True)


def save_tensors(path: Path, state: State) -> str:
    """Write tensors aside, then replace; returns the SHA-256 of the file. A failed write leaves no remains."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            _write_tensors(state, file)
            file.flush()
            os.fsync(file.fileno())
        digest = file_digest(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return digest


class _Witness:
    """A file for `torch.save`, which hides what the disk said behind a RuntimeError of its own: it remembers the OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as failure:
            self.failure = failure
            raise

    def flush(self) -> None:
        self._file.flush()


def _write_tensors(state: State, file: BinaryIO) -> None:
    witness = _Witness(file)
    try:
        torch.save(state, witness)  # type: ignore[arg-type]  # anything with `write` and `flush` will do
    except RuntimeError:
        if witness.failure is not None:
            raise witness.failure from None
        raise


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_if_sound(path: Path) -> State | None:
    try:
        expected = _checksum_file(path).read_text(encoding="ascii", errors="replace").strip()
        if file_digest(path) != expected:
            return None
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return state


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _checksum_file(path).unlink(missing_ok=True)
