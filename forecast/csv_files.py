"""Which files are meant where files and folders of recorded intensity are named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ENDINGS = (".csv", ".csv.gz")


class NoCsvFiles(ValueError):
    """A folder was named for its CSV files and holds none."""


def csv_files(paths: Iterable[Path]) -> list[Path]:
    """The paths in their order; a folder stands for the CSV files in it, by name. Raises NoCsvFiles, OSError where it cannot be read."""
    return [file for path in paths for file in (_inside(path) if path.is_dir() else [path])]


def _inside(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.name.endswith(ENDINGS))
    if not files:
        raise NoCsvFiles(f"{folder}: there is no CSV file in this folder: name files, or the folder that holds them")
    return files
