"""Where the big recorded traces lie, for tests marked `traces` and for benches."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2].parent / "shared" / "data" / "carbon-intensity"


def traces_folder() -> Path:
    """The folder LOWTIDE_TRACES points to, or the one beside the repository; it need not exist."""
    return Path(os.environ.get("LOWTIDE_TRACES", _BESIDE_THE_REPOSITORY))
