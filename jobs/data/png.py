"""Read grey PNG images, 8 or 16 bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from jobs.data.picture import Picture, checked_voxels
from jobs.errors import BadInput

_WHITE = {"L": 255.0, "I;16": 65535.0, "I;16B": 65535.0, "I": 65535.0}  # Pillow's names of grey modes


def read_png(path: Path) -> Picture:
    """The image with black at 0 and white at 1; the first axis runs left to right, the second bottom to top, as in a volume."""
    try:
        with Image.open(path) as image:
            mode = image.mode
            raw = np.asarray(image)
    except Exception as failure:  # Pillow raises OSError, SyntaxError, ValueError and others on damaged files
        raise BadInput(f"{path}: not a readable PNG file ({' '.join(str(failure).split())[:200]}): replace or remove it") from failure
    if mode not in _WHITE:
        raise BadInput(f"{path}: PNG mode {mode!r} is not grey: convert it to 8- or 16-bit grey")
    voxels = checked_voxels(raw, path) / np.float32(_WHITE[mode])
    return Picture(np.ascontiguousarray(voxels[::-1].T), (1.0, 1.0), "display", path)
