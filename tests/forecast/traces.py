"""Where the big recorded traces lie, for tests marked `traces` and for benches."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from pathlib import Path

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2].parent / "shared" / "data" / "carbon-intensity"


def traces_folder() -> Path:
    """The folder LOWTIDE_TRACES points to, or the one beside the repository; it need not exist."""
    return Path(os.environ.get("LOWTIDE_TRACES", _BESIDE_THE_REPOSITORY))


def benched_folder(name: str, traces: Path | None = None) -> Path:
    """A folder of traces that a bench needs; ends the bench with a sentence where it is not there."""
    folder = (traces or traces_folder()) / name
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not there: set LOWTIDE_TRACES to the folder of intensity traces")
    return folder


def benched_zones(parser: argparse.ArgumentParser, named: Sequence[str], recorded: Collection[str]) -> Sequence[str]:
    """The zones named to a bench, all recorded ones if none is; one without a record is told of as other bad arguments are."""
    if strange := sorted(set(named) - set(recorded)):
        parser.error(f"there is no record of {', '.join(strange)}: name some of {', '.join(sorted(recorded))}")
    return named or sorted(recorded)
