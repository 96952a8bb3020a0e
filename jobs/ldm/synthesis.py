"""A synthesis run: each sample of a range made exactly once, the same wherever and however often it is interrupted.

Sample identity (the rule that makes chunks, attempts and sites interchangeable): sample i belongs to micro-batch
`i // batch_size`, which is always computed at full size, whichever of its samples are wanted; all noise of sample i comes
from CPU generators seeded by (seed, i, step). Measured: results agree bit for bit for any batch-mates and any position,
but not between batch sizes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jobs.errors import BadInput
from jobs.ldm.checkpoint import Checkpoints, State, file_digest
from jobs.ldm.compiling import compile_network
from jobs.ldm.diffusion import LatentScaling
from jobs.ldm.packing import pack_convolutions, packs_convolutions
from jobs.ldm.randomness import normal
from jobs.ldm.runtime import Runtime, prepare_runtime
from jobs.ldm.sample_files import encode_sample, sample_name
from jobs.ldm.samplers import Denoising
from jobs.ldm.weights import Weights, load_networks, load_weights
from jobs.rundir import SampleRecord, write_aside
from jobs.session import Session, log
from jobs.spec import SampleRange, SynthesisWorkload


def synthesise(session: Session, workload: SynthesisWorkload) -> None:
    """Make the samples that are still missing. Raises RunError, StopRequested."""
    assert session.spec.samples is not None  # RunSpec: a synthesis run has both
    assert session.spec.weights_path is not None
    _check_range(session.spec.samples, workload)
    runtime = prepare_runtime(workload)
    path = Path(session.spec.weights_path)
    weights = load_weights(path, workload.model)
    _check_sampler(weights, workload, path)
    _SynthesisRun(session, workload, runtime, weights, session.spec.samples, file_digest(path)).make_missing()


def _check_range(samples: SampleRange, workload: SynthesisWorkload) -> None:
    """Chunks begin at whole micro-batches and end at one or at the job's end. Raises BadInput."""
    if samples.stop > workload.samples:
        raise BadInput(f"samples: {samples.first}..{samples.stop - 1} reach beyond the job's {workload.samples}")
    for name, boundary in (("first", samples.first), ("first + count", samples.stop)):
        if boundary % workload.batch_size and boundary != workload.samples:
            raise BadInput(f"samples: {name} is {boundary}, which is no multiple of batch_size {workload.batch_size}")


def _check_sampler(weights: Weights, workload: SynthesisWorkload, path: Path) -> None:
    """PNDM starts with long steps from the last level, where the cosine schedule has no signal to start from. Raises BadInput."""
    if workload.sampler == "pndm" and weights.schedule.kind == "cosine":
        raise BadInput(f"weights {path} were trained with the cosine noise schedule, on which PNDM gives noise: use sampler 'ddim'")


class _SynthesisRun:
    def __init__(
        self, session: Session, workload: SynthesisWorkload, runtime: Runtime, weights: Weights, samples: SampleRange, weights_digest: str
    ) -> None:
        self._session = session
        self._workload = workload
        self._runtime = runtime
        self._weights = weights
        self._samples = samples
        self._scaling = LatentScaling(weights.latent_means, weights.latent_factor)
        unet, autoencoder = load_networks(weights, workload.model, workload.backend, workload.flash_attention)
        self._unet = runtime.place(unet)
        if workload.compile:
            compile_network(self._unet, runtime.device, session.directory.cache)
        self._autoencoder = runtime.place(autoencoder)
        if packs_convolutions(workload.precision, runtime.device):
            pack_convolutions(self._autoencoder)
            if not workload.compile:
                pack_convolutions(self._unet)
        self._checkpoints = Checkpoints(session.directory.checkpoints)
        # a half-made micro-batch may only be continued where it would have come out the same
        self._configuration = {"workload": workload.model_dump(mode="json"), "weights": weights_digest, "fingerprint": runtime.fingerprint}

    @torch.inference_mode()
    def make_missing(self) -> None:
        missing = self._missing()
        done = self._samples.count - len(missing)
        self._session.begin(done, f"{done} of {self._samples.count} samples")
        half_made = self._half_made() if missing else None
        for batch in sorted({index // self._workload.batch_size for index in missing}):
            wanted = [index for index in self._members(batch) if index in missing]
            self._make_batch(batch, wanted, half_made if half_made is not None and half_made["batch"] == batch else None)
        self._checkpoints.clear()

    def _missing(self) -> set[int]:
        """Samples without a file of the recorded digest. A file without a record is one that a kill came between."""
        missing = set(range(self._samples.first, self._samples.stop))
        for record in self._session.directory.sample_records():
            file = self._session.directory.artifacts / record.file
            if record.index in missing and file.is_file():
                if file_digest(file) == record.sha256:
                    missing.discard(record.index)
                else:
                    log.warning("sample %d: %s is damaged and will be made again", record.index, record.file)
        return missing

    def _half_made(self) -> State | None:
        state = self._checkpoints.newest_sound()
        return state if state is not None and state["configuration"] == self._configuration else None

    def _members(self, batch: int) -> list[int]:
        size = self._workload.batch_size
        return list(range(batch * size, (batch + 1) * size))

    def _make_batch(self, batch: int, wanted: list[int], half_made: State | None) -> None:
        denoising = self._begin_denoising(batch)
        if half_made is not None:
            denoising.restore(half_made["denoising"])
        while not denoising.finished:
            denoising.advance(self._predict_noise)
            stage = f"samples {wanted[0]}-{wanted[-1]}: denoising {denoising.position} of {denoising.evaluations}"
            self._session.advance(self._session.step, stage)
            self._session.checkpoint_if_due(lambda: self._save(batch, denoising))
        images = self._decode(denoising.latents)
        if not images.isfinite().all():
            raise BadInput(
                f"weights {self._session.spec.weights_path} make samples that are no numbers: train them again with other settings"
            )
        for row, index in enumerate(self._members(batch)):
            if index in wanted:
                self._write(index, images[row, 0])
        if self._session.step < self._samples.count:
            self._session.leave_if_asked()

    def _begin_denoising(self, batch: int) -> Denoising:
        model, seed = self._workload.model, self._workload.seed
        shape = (model.latent_channels, *model.latent_shape)
        indices = self._members(batch)
        noise = torch.stack([normal(shape, seed, "sample", index, 0) for index in indices]).to(self._runtime.device)
        steps, backend = self._workload.inference_steps, self._workload.backend
        schedule, prediction = self._weights.schedule, self._weights.prediction
        return Denoising(noise, self._workload.sampler, steps, backend, seed, indices, schedule, prediction)

    def _predict_noise(self, latents: Tensor, levels: Tensor) -> Tensor:
        with self._runtime.autocast():
            predicted: Tensor = self._unet(self._runtime.arrange(latents), timesteps=levels)
        return predicted

    def _decode(self, latents: Tensor) -> Tensor:
        with self._runtime.autocast():
            restored = self._runtime.arrange(self._scaling.restore(latents))
            images: Tensor = self._autoencoder.decode_stage_2_outputs(restored)  # type: ignore[operator]  # not in nn.Module
        return images.float().cpu()

    def _write(self, index: int, image: Tensor) -> None:
        """The file first, its record second: a record always speaks of a whole file."""
        content = encode_sample(image.numpy(), self._weights.intensity, self._weights.spacing_mm)
        directory, name = self._session.directory, sample_name(index, self._workload.model.dimensions)
        write_aside(directory.artifacts / name, content)
        directory.append_sample(
            SampleRecord(
                index=index,
                file=name,
                sha256=hashlib.sha256(content).hexdigest(),
                fingerprint=self._runtime.fingerprint,
                attempt_id=self._session.attempt_id,
            )
        )
        done = self._session.step + 1
        self._session.advance(done, f"{done} of {self._samples.count} samples")

    def _save(self, batch: int, denoising: Denoising) -> None:
        number = batch * denoising.evaluations + denoising.position
        state: dict[str, Any] = {"batch": batch, "denoising": denoising.state(), "configuration": self._configuration}
        self._checkpoints.save(number, state)
