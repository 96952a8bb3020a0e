"""A training run: prepare the images, train the VQ-GAN, encode the latents once, train the UNet, write the weights.

The two trainings are one sequence of steps (the VQ-GAN's first) with one kind of checkpoint, and each step depends only
on the state before it and its own number. That is why a run stopped anywhere ends with the weights of one never stopped.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from jobs.architecture import architecture_of
from jobs.data.cache import ArrayCache
from jobs.data.training_set import TrainingSet, load_training_set
from jobs.errors import BadInput, RunError, StopRequested
from jobs.ldm.autoencoder import AutoencoderTraining, encode
from jobs.ldm.checkpoint import Checkpoints, State
from jobs.ldm.compiling import as_if_not_compiled, compile_network, require_compiler
from jobs.ldm.diffusion import DiffusionTraining, LatentScaling, scaling_of
from jobs.ldm.networks import build_all
from jobs.ldm.packing import pack_convolutions, packs_convolutions
from jobs.ldm.ranks import Ranks
from jobs.ldm.runtime import Runtime, prepare_runtime
from jobs.ldm.validation import validation_loss
from jobs.ldm.weights import Weights, save_weights
from jobs.session import Session, log
from jobs.spec import TrainingWorkload

T = TypeVar("T")


def train(session: Session, workload: TrainingWorkload, ranks: Ranks = Ranks()) -> None:  # noqa: B008  it never changes
    """Run or resume the training of the session's run directory. Raises RunError, StopRequested."""
    runtime = prepare_runtime(workload, ranks)
    if workload.compile:
        require_compiler(runtime.device)  # now, not after hours of VQ-GAN training
    checkpoints = Checkpoints(session.directory.checkpoints)
    state = _first_one_then_all(ranks, checkpoints.newest_sound)
    if state is not None:
        session.step = state["step"]  # already true if a stop comes while the data is read
    data = _first_one_then_all(ranks, lambda: _training_set(session, workload))
    log.info("training on %d images of %d patients (%s)", len(data.images), data.patients, workload.data.effective_class)
    if data.validation_patients:
        log.info("%d images of %d other patients are held out", len(data.validation_images), data.validation_patients)
    run = _TrainingRun(session, workload, runtime, data, checkpoints)
    run.check_configuration(state)
    autoencoder = run.train_autoencoder(state)
    latents = _first_one_then_all(ranks, lambda: run.latents(autoencoder))
    unet = run.train_unet(state, autoencoder, latents)
    if ranks.rank == 0:
        run.write_weights(autoencoder, unet, latents, run.validation_loss(autoencoder, unet, latents))


def _training_set(session: Session, workload: TrainingWorkload) -> TrainingSet:
    """All images, those that no attempt has prepared yet read and fitted to the model: that is work, and no start-up."""
    preparing = False

    def next_image() -> None:
        nonlocal preparing
        session.leave_if_asked()
        session.book("preparing", session.step)
        preparing = True

    images = load_training_set(workload.data, session.spec.data_path, workload.model, session.directory.cache, between_images=next_image)
    if preparing:  # never in those ranks that find all prepared, and have nothing to tell
        session.book("startup", session.step)
    return images


def _first_one_then_all(ranks: Ranks, make: Callable[[], T]) -> T:
    """What rank 0 makes and leaves on disk, the others then find there. What it raises ends them, too."""
    failure: Exception | None = None
    if ranks.rank == 0:
        try:
            made = make()
        except Exception as raised:  # noqa: BLE001  raised again below
            failure = raised
    if not ranks.all_agree(failure is None):
        raise failure or StopRequested
    return made if ranks.rank == 0 else make()


@dataclass(frozen=True)
class _Latents:
    array: NDArray[np.float32]
    scaling: LatentScaling


class _TrainingRun:
    """The parts of one run share the session, the networks and the way they are checkpointed."""

    def __init__(self, session: Session, workload: TrainingWorkload, runtime: Runtime, data: TrainingSet, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._session = session
        self._workload = workload
        self._runtime = runtime
        self._data = data
        networks = build_all(architecture_of(workload.model), workload.backend, workload.seed, workload.flash_attention)
        self._unet, self._autoencoder, self._discriminator = networks
        # what the numbers in a checkpoint depend on; threads and machine may differ between attempts, at the price of the last bits
        own = {"data": data.key, "batch_size": workload.global_batch_size(runtime.ranks.count)}
        self._configuration = workload.model_dump(mode="json", exclude={"threads", "data", "batch_size_per"}) | own

    def check_configuration(self, state: State | None) -> None:
        """A checkpoint of other settings or other data must not be continued. Raises BadInput naming what differs.

        A setting that the checkpoint does not name is younger than it, and the jobs of before could not ask for it.
        """
        saved = {} if state is None else state["configuration"]
        changed = {name: value for name, value in self._configuration.items() if saved.get(name, value) != value}
        if not changed:
            return
        different = ", ".join(f"{name} {saved.get(name)} -> {value}" for name, value in changed.items())
        raise BadInput(f"the checkpoints here are of another configuration ({different}): start this job in a new run directory")

    def train_autoencoder(self, state: State | None) -> nn.Module:
        """Train what is left of the VQ-GAN's steps; returns the autoencoder ready to encode and decode."""
        steps = self._workload.autoencoder_steps
        training = AutoencoderTraining(self._autoencoder, self._discriminator, self._data.images, self._workload, self._runtime)
        done = 0
        if state is not None and state["stage"] == "autoencoder":
            training.restore(state["training"])
            done = state["step"]
        elif state is not None:
            self._autoencoder.load_state_dict(state["autoencoder"])
            done = steps
        if done < steps:
            self._session.begin(done, f"VQ-GAN: step {done} of {steps}")
        for step in range(done, steps):
            error = self._sound("VQ-GAN", step, training.train_step(step))
            self._session.advance(step + 1, f"VQ-GAN: step {step + 1} of {steps}, L1 {error:.4f}")
            last = step + 1 == steps  # encoding comes next, which may be left at any image
            self._session.checkpoint_if_due(lambda: self._save("autoencoder", self._session.step, training.state()), last_step=last)
        return self._autoencoder.eval().requires_grad_(False)

    def latents(self, autoencoder: nn.Module) -> _Latents:
        """The latent of every image, encoded once for all attempts."""
        item_shape = (self._workload.model.latent_channels, *self._workload.model.latent_shape)
        key = f"{self._data.key} {_digest(autoencoder)} {self._workload.precision}"
        cache = ArrayCache(self._session.directory.cache, "latents", item_shape, key)
        encoder = self._packed(autoencoder)
        while cache.sources < len(self._data.images):
            self._session.leave_if_asked()
            self._session.book("encoding", self._session.step)
            cache.add_source([encode(encoder, image, self._runtime) for image in self._data.images[cache.sources : cache.sources + 1]])
        array = cache.array()
        return _Latents(array, scaling_of(array))

    def train_unet(self, state: State | None, autoencoder: nn.Module, latents: _Latents) -> nn.Module:
        """Train what is left of the UNet's steps. Progress counts on from the VQ-GAN's steps."""
        before, steps = self._workload.autoencoder_steps, self._workload.iterations
        training = DiffusionTraining(self._unet, latents.array, latents.scaling, self._workload, self._runtime)
        done = 0
        if state is not None and state["stage"] == "diffusion":
            training.restore(state["training"])
            done = state["step"] - before
        if self._workload.compile and done < steps:
            compile_network(self._unet, self._runtime.device, self._session.directory.cache)
        self._session.begin(before + done, f"diffusion: step {done} of {steps}")

        def save() -> None:
            self._save("diffusion", self._session.step, training.state(), autoencoder=autoencoder.state_dict())

        for step in range(done, steps):
            loss = self._sound("diffusion", step, training.train_step(step))
            self._session.advance(before + step + 1, f"diffusion: step {step + 1} of {steps}, loss {loss:.4f}")
            self._session.checkpoint_if_due(save, last_step=step + 1 == steps)
        return training.finished_unet()

    def validation_loss(self, autoencoder: nn.Module, unet: nn.Module, latents: _Latents) -> float | None:
        """Of the finished networks on the patients held out; None where nobody is."""
        unseen = self._data.validation_images
        if not len(unseen):
            return None
        self._session.book("validation", self._session.step)
        leave = self._session.leave_if_asked  # the last step has its checkpoint
        networks = self._packed(unet.eval()), self._packed(autoencoder)
        with as_if_not_compiled(self._workload.compile):
            loss = validation_loss(*networks, unseen, latents.scaling, self._workload, self._runtime, leave)
        log.info("loss on %d images of patients never seen: %.4f", len(unseen), loss)
        return loss

    def _packed(self, finished: nn.Module) -> nn.Module:
        """A finished network as it is evaluated best; what is saved of it stays as it was trained."""
        if not packs_convolutions(self._workload.precision, self._runtime.device):
            return finished
        copied = copy.deepcopy(finished)
        pack_convolutions(copied)
        return copied

    def write_weights(self, autoencoder: nn.Module, unet: nn.Module, latents: _Latents, loss: float | None) -> None:
        patients_data = self._workload.data.effective_class == "patient-data"
        weights = Weights(
            model=self._workload.model.model_dump(mode="json"),
            backend=self._workload.backend,
            autoencoder=autoencoder.state_dict(),
            unet=unet.state_dict(),
            latent_means=latents.scaling.means,
            latent_factor=latents.scaling.factor,
            intensity=self._data.kind,
            spacing_mm=self._data.spacing_mm,
            data_class="derived-from-patient-data" if patients_data else "public",
            patients=self._data.patients,
            images=len(self._data.images),
            iterations=self._workload.iterations,
            noise_schedule=self._workload.noise_schedule.model_dump(mode="json"),
            prediction=self._workload.prediction,
            ema_decay=self._workload.ema_decay,
            validation_patients=self._data.validation_patients,
            validation_loss=loss,
        )
        save_weights(self._session.directory.weights_file, weights)
        log.info("weights written after %d VQ-GAN and %d diffusion steps", self._workload.autoencoder_steps, self._workload.iterations)

    def _save(self, stage: str, step: int, training: dict[str, Any], **more: object) -> None:
        self._checkpoints.save(step, {"stage": stage, "step": step, "configuration": self._configuration, "training": training, **more})

    def _sound(self, stage: str, step: int, loss: float) -> float:
        if not math.isfinite(loss):
            raise RunError(f"{stage} training diverged at step {step + 1}: its loss is {loss}; change seed or data", retryable=False)
        return loss


def _digest(module: nn.Module) -> str:
    """SHA-256 over all weights and buffers."""
    sha = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        sha.update(name.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
