"""torch.compile for the network that does most of the work, on nodes that can."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from jobs.errors import BadInput


def compile_network(network: nn.Module, device: torch.device, cache: Path | None = None) -> None:
    """Compile in place: the first evaluation takes a minute, the others less than before. Raises BadInput without a compiler.

    What was compiled is kept under `cache`, so that the next attempt of the run starts faster; else where torch keeps it.
    """
    require_compiler(device)
    if cache is not None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "compiled")
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no processes of its own beside the run's
    network.compile(dynamic=False)


def as_if_not_compiled(compiled: bool) -> AbstractContextManager[object]:
    """Evaluate networks as they were written: for a few images, compiling them for another batch size would take longer."""
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def require_compiler(device: torch.device) -> None:
    """Raises BadInput where torch.compile would fail in the middle of its first step."""
    if device.type == "cuda":
        if find_spec("triton") is None:
            raise BadInput("compile: this node has no Triton, which torch.compile needs on GPUs: install it, or set compile to false")
        return
    command = os.environ.get("CXX", "g++")
    if shutil.which(command) is None:
        raise BadInput(f"compile: this node has no C++ compiler ({command!r} is not found): install one, or set compile to false")
