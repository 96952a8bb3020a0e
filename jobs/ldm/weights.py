"""`weights.pt`: trained networks with everything that is needed to use them rightly, and nothing that can run code."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from jobs.architecture import architecture_of
from jobs.data.picture import IntensityKind
from jobs.errors import BadInput
from jobs.ldm.checkpoint import save_tensors
from jobs.ldm.networks import Backend, build_autoencoder, build_unet, transfer_unet
from jobs.ldm.runtime import library_versions
from jobs.spec import ModelSpec, NoiseSchedule, Prediction

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained weights and their papers. `data_class` is "derived-from-patient-data" or "public": whether they may travel.

    Noise schedule and prediction belong to the weights: whoever samples from them cannot choose others. Weights of before
    they were recorded were trained with the defaults. `ema_decay`: the UNet is the moving average of the training's.
    """

    model: dict[str, Any]  # ModelSpec as JSON values
    backend: Backend
    autoencoder: dict[str, Tensor]
    unet: dict[str, Tensor]
    latent_means: tuple[float, ...]
    latent_factor: float
    intensity: IntensityKind
    spacing_mm: tuple[float, ...]
    data_class: str
    patients: int
    images: int
    iterations: int
    noise_schedule: dict[str, Any] = field(default_factory=dict)  # NoiseSchedule as JSON values
    prediction: Prediction = "epsilon"
    ema_decay: float | None = None
    validation_patients: int = 0
    validation_loss: float | None = None  # on those patients' images; None where nobody was held out

    @property
    def schedule(self) -> NoiseSchedule:
        return NoiseSchedule.model_validate(self.noise_schedule)


def save_weights(path: Path, weights: Weights) -> None:
    """Write them aside, then replace. Raises OSError."""
    save_tensors(path, {"format": _FORMAT, "versions": library_versions(), **_plain(weights)})


def load_weights(path: Path, model: ModelSpec) -> Weights:
    """Read weights that fit the model. Raises BadInput naming the file, and both configurations where they differ."""
    if not path.is_file():
        raise BadInput(f"weights {path} do not exist on this node: train first, or copy them to this site")
    if not zipfile.is_zipfile(path):  # torch would answer a cut-off file with a bare "invalid argument"
        raise BadInput(f"weights {path} cannot be read (cut off, or no weights at all): copy or train them again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError) as failure:
        raise BadInput(f"weights {path} cannot be read ({' '.join(str(failure).split())[:200]}): copy or train them again") from failure
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise BadInput(f"weights {path} are not in the format this version writes ({_FORMAT}): train them again")
    weights = Weights(**{name: value for name, value in content.items() if name not in ("format", "versions")})
    _check_model(path, weights.model, model.model_dump(mode="json"))
    _check_noise(path, weights)
    return weights


def load_networks(weights: Weights, model: ModelSpec, backend: Backend, flash_attention: bool = False) -> tuple[nn.Module, nn.Module]:
    """UNet and autoencoder with these weights, ready to evaluate, in the library the job asks for. Raises BadInput."""
    architecture = architecture_of(model)
    unet = build_unet(architecture.unet, backend, flash_attention)
    autoencoder = build_autoencoder(architecture.autoencoder, backend)
    if weights.backend == backend:
        unet.load_state_dict(weights.unet)
    elif backend == "monai":
        transfer_unet(weights.unet, unet)
    else:
        raise BadInput("these weights were trained with backend 'monai' and cannot be read by 'monai-generative': ask for backend 'monai'")
    autoencoder.load_state_dict(weights.autoencoder)
    return unet.eval().requires_grad_(False), autoencoder.eval().requires_grad_(False)


def _plain(weights: Weights) -> dict[str, Any]:
    return asdict(weights) | {"autoencoder": weights.autoencoder, "unet": weights.unet}  # asdict copies; the tensors need no copy


def _check_noise(path: Path, weights: Weights) -> None:
    """Whether this version knows how the weights were trained. Raises BadInput."""
    try:
        known = weights.schedule is not None and weights.prediction in get_args(Prediction)
    except ValidationError:
        known = False
    if not known:
        trained = f"noise schedule {weights.noise_schedule}, prediction {weights.prediction!r}"
        raise BadInput(f"weights {path} were trained in a way that this version does not know ({trained}): use the version that made them")


def _check_model(path: Path, trained: dict[str, Any], asked: dict[str, Any]) -> None:
    if trained != asked:
        different = [name for name in asked if trained.get(name) != asked[name]]
        was = ", ".join(f"{name} {trained.get(name)}" for name in different)
        wants = ", ".join(f"{name} {asked[name]}" for name in different)
        raise BadInput(f"weights {path} are of another configuration: trained with {was}; this job asks for {wants}")
