"""What we use of MONAI and monai-generative, imported without the packages they only might need. Import it from here.

MONAI's first import loads all of its parts, and each looks for its optional packages. Finding matplotlib, pandas, scipy
and scikit-learn (installed for other purposes) costs 2.7 seconds of processor time at every start of a worker, for
nothing: what we use of MONAI needs torch and numpy. So they are hidden while it is imported, and only then.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# scipy's parts one by one: the package itself, which is light, may have been imported by nibabel
_SCIPY = ("scipy.fft", "scipy.interpolate", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.spatial", "scipy.stats")
_OPTIONAL = ("ignite", "matplotlib", "pandas", "scipy", "skimage", "sklearn", "transformers", *_SCIPY)


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Make these packages look absent, except those already imported; afterwards everything is as before."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system's own mark for "not to be found"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _hidden(_OPTIONAL), warnings.catch_warnings():
    # both use names of torch that are on their way out, on import only
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    import generative.networks.nets as generative_nets
    import generative.networks.schedulers as generative_schedulers
    import monai.networks.nets as core_nets
    import monai.networks.schedulers as core_schedulers
    from monai.losses import JukeboxLoss, PatchAdversarialLoss
    from monai.transforms import CenterSpatialCrop, Compose, ScaleIntensityRange, SpatialPad

__all__ = [
    "CenterSpatialCrop",
    "Compose",
    "JukeboxLoss",
    "PatchAdversarialLoss",
    "ScaleIntensityRange",
    "SpatialPad",
    "core_nets",
    "core_schedulers",
    "generative_nets",
    "generative_schedulers",
]
