"""The machine under the networks: device, threads, determinism, precision, and the fingerprint of all that."""

from __future__ import annotations

import warnings
import zlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version

import torch
from torch import Tensor, nn

from jobs.errors import BadInput
from jobs.ldm.allocator import keep_freed_memory
from jobs.ldm.packing import packs_convolutions
from jobs.ldm.ranks import Ranks
from jobs.session import log
from jobs.spec import SynthesisWorkload, TrainingWorkload


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where tensors live and how, and in what precision networks are evaluated (parameters and samples stay float32)."""

    device: torch.device
    precision: str
    fingerprint: str
    layout: torch.memory_format = torch.contiguous_format
    ranks: Ranks = field(default_factory=Ranks)

    def autocast(self) -> AbstractContextManager[object]:
        """Around each network evaluation: bfloat16 where the spec asks for it."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the layout the spec asks for."""
        network.to(self.device)
        if self.layout != torch.contiguous_format:
            network.to(memory_format=self.layout)  # type: ignore[call-overload]  # torch's own signature leaves it out
        return network

    def arrange(self, batch: Tensor) -> Tensor:
        """A batch of images or latents on the device, in that layout."""
        return batch.to(self.device).contiguous(memory_format=self.layout)


def prepare_runtime(workload: TrainingWorkload | SynthesisWorkload, ranks: Ranks = Ranks()) -> Runtime:  # noqa: B008  it never changes
    """Make this process compute the same bits every time: fixed threads, TF32 only where asked for, deterministic kernels.

    Raises BadInput where the device has no TF32.
    """
    if workload.tf32:
        _require_tf32()
    torch.set_num_threads(workload.threads)
    torch.backends.cuda.matmul.allow_tf32 = workload.tf32
    torch.backends.cudnn.allow_tf32 = workload.tf32
    torch.backends.cudnn.benchmark = False  # whichever kernel is quicker today: no fingerprint could promise equal bytes
    # A few CUDA kernels have no deterministic twin; there torch warns instead of refusing to run. The same as
    # use_deterministic_algorithms, without its import of the compiler, which takes seconds.
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid, 5 % of a small step
    device = torch.device("cuda", ranks.rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cpu":
        keep_freed_memory()
    runtime = Runtime(device, workload.precision, _fingerprint(workload, device), _layout(workload), ranks)
    log.info("runtime: %s", runtime.fingerprint)
    if workload.precision == "bfloat16" and device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported():
        log.warning("this processor has no bfloat16 instructions and imitates them: float32 would be many times faster here")
    return runtime


def _require_tf32() -> None:
    if not torch.cuda.is_available() or not torch.cuda.is_tf32_supported():
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "this CPU"
        raise BadInput(f"tf32: {device} has no TF32, only NVIDIA GPUs since Ampere do: leave it out of the job")


def library_versions() -> dict[str, str]:
    """Of everything whose arithmetic ends up in weights and samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: version(name) for name in ("torch", "monai", "monai-generative", "numpy")} | {"zlib": zlib.ZLIB_RUNTIME_VERSION}


def _fingerprint(workload: TrainingWorkload | SynthesisWorkload, device: torch.device) -> str:
    """Equal fingerprints promise equal bytes; the text is for people and for equality, never parsed."""
    libraries = " ".join(f"{name}={number}" for name, number in library_versions().items())
    settings = f"threads={workload.threads} precision={workload.precision} compile={'inductor' if workload.compile else 'no'}"
    settings += " arithmetic=tf32" * workload.tf32
    settings += " layout=channels-last" * workload.channels_last + " attention=flash" * workload.flash_attention
    settings += " convolutions=packed" * packs_convolutions(workload.precision, device)
    return f"{libraries} backend={workload.backend} {_arithmetic(device)} {settings}"


def _layout(workload: TrainingWorkload | SynthesisWorkload) -> torch.memory_format:
    if not workload.channels_last:
        return torch.contiguous_format
    return torch.channels_last if workload.model.dimensions == 2 else torch.channels_last_3d


def _arithmetic(device: torch.device) -> str:
    """What computes: the GPU with its libraries, or the CPU's vector instructions."""
    if device.type == "cpu":
        return f"device=cpu instructions={torch.backends.cpu.get_cpu_capability()}"
    name = torch.cuda.get_device_name(device).replace(" ", "-")
    return f"device={name} cuda={torch.version.cuda} cudnn={torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
