"""VQ-GAN training: a VQ autoencoder against a patch discriminator (Esser et al. 2021, arXiv 2012.09841).

Losses: L1 + codebook commitment + adversarial (least squares) + spectral (JukeboxLoss). No perceptual loss: it would
download weights. Nothing here remembers anything that is not in `state()`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.ldm.networks import checkpoint_autoencoder_gradients
from jobs.ldm.randomness import batch_indices, generator
from jobs.ldm.runtime import Runtime
from jobs.lean_monai import JukeboxLoss, PatchAdversarialLoss
from jobs.spec import Size, TrainingWorkload

ADVERSARIAL_WEIGHT = 0.005  # as in MedLoRD's public configuration
SPECTRAL_WEIGHT = 0.1
DEAD_BELOW = 0.1  # of the vectors each code would get if all were used alike
LEARNING_RATE: dict[Size, float] = {"tiny": 2e-3, "small": 1e-4, "medium": 1e-4, "large": 1e-4}


class AutoencoderTraining:
    """Both networks with their optimisers; `train_step(n)` is a function of the state, the images and n."""

    def __init__(
        self, autoencoder: nn.Module, discriminator: nn.Module, images: NDArray[np.float32], workload: TrainingWorkload, runtime: Runtime
    ) -> None:
        self.autoencoder = runtime.place(autoencoder).train()
        if workload.gradient_checkpointing:
            checkpoint_autoencoder_gradients(self.autoencoder)
        self._net: Any = self.autoencoder  # encode, quantize and decode are the libraries' own methods, unknown to nn.Module
        self._discriminator = runtime.place(discriminator).train()
        self._images = images
        self._workload = workload
        self._runtime = runtime
        self._batch_size = workload.global_batch_size(runtime.ranks.count)
        rate = LEARNING_RATE[workload.model.size]
        self._optimiser = torch.optim.Adam(self.autoencoder.parameters(), lr=rate, fused=True)
        self._discriminator_optimiser = torch.optim.Adam(self._discriminator.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)
        self._adversarial = PatchAdversarialLoss(criterion="least_squares", no_activation_leastsq=True)
        self._spectral = JukeboxLoss(spatial_dims=workload.model.dimensions)

    def train_step(self, step: int) -> float:
        """One step of each network; returns the L1 error of the reconstruction (images span -1..1)."""
        images = self._batch(step)
        reconstruction, encodings, error = self._step_autoencoder(images)
        self._step_discriminator(images, reconstruction)
        revive_codes(self.autoencoder, self._runtime.ranks.gather(encodings), generator(self._workload.seed, "codes", step))
        return self._runtime.ranks.mean(error)

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on; the codebook's moving averages are among the autoencoder's buffers."""
        return {
            "autoencoder": self.autoencoder.state_dict(),
            "discriminator": self._discriminator.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "discriminator_optimiser": self._discriminator_optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.autoencoder.load_state_dict(state["autoencoder"])
        self._discriminator.load_state_dict(state["discriminator"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])

    def _batch(self, step: int) -> Tensor:
        indices = batch_indices(len(self._images), self._batch_size, self._workload.seed, "autoencoder", step)
        return self._runtime.arrange(torch.from_numpy(self._images[indices[self._runtime.ranks.rows(self._batch_size)]]))

    def _step_autoencoder(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # the discriminator only judges here: without gradients of its own this half of the step costs a third less
        self._discriminator.requires_grad_(False)
        with self._runtime.autocast():
            encodings = self._net.encode(images)
            quantised, commitment = self._net.quantize(encodings)
            reconstruction = self._net.decode(quantised)
            verdict = self._discriminator(reconstruction.float())[-1]
        reconstruction = reconstruction.float()
        error = (reconstruction - images).abs().mean()
        adversarial = self._adversarial(verdict.float(), target_is_real=True, for_discriminator=False)
        loss = error + commitment + SPECTRAL_WEIGHT * self._spectral(reconstruction, images) + ADVERSARIAL_WEIGHT * adversarial
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._runtime.ranks.average_gradients(self.autoencoder.parameters())
        self._optimiser.step()
        return reconstruction.detach(), encodings.detach().float(), error

    def _step_discriminator(self, images: Tensor, reconstruction: Tensor) -> None:
        self._discriminator.requires_grad_(True)
        with self._runtime.autocast():
            on_real = self._discriminator(images)[-1]
            on_fake = self._discriminator(reconstruction)[-1]
        loss = self._adversarial(on_real.float(), target_is_real=True, for_discriminator=True)
        loss = 0.5 * (loss + self._adversarial(on_fake.float(), target_is_real=False, for_discriminator=True))
        self._discriminator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._runtime.ranks.average_gradients(self._discriminator.parameters())
        self._discriminator_optimiser.step()


@torch.no_grad()
def revive_codes(autoencoder: nn.Module, encodings: Tensor, draw: torch.Generator) -> None:
    """Move codes that hardly any vector is close to onto vectors of this batch (Dhariwal et al. 2020, arXiv 2005.00341, 3.2).

    Without it a codebook drawn at random collapses to a few codes within the first steps and never recovers.
    """
    quantizer: Any = autoencoder.get_submodule("quantizer.quantizer")
    vectors = encodings.movedim(1, -1).reshape(-1, encodings.shape[1])
    usage = quantizer.ema_cluster_size
    fair_share = len(vectors) / len(usage)
    dead = (usage < DEAD_BELOW * fair_share).nonzero().flatten()
    picks = torch.randint(0, len(vectors), (len(dead),), generator=draw).to(vectors.device)
    quantizer.embedding.weight.data[dead] = vectors[picks]
    quantizer.ema_w[dead] = vectors[picks] * fair_share
    usage[dead] = fair_share


@torch.no_grad()
def encode(autoencoder: nn.Module, image: NDArray[np.float32], runtime: Runtime) -> NDArray[np.float32]:
    """The quantised latent of one image. One at a time, so that the bits do not depend on how the work was cut."""
    batch = runtime.arrange(torch.from_numpy(np.array(image[np.newaxis])))
    with runtime.autocast():
        latent: Tensor = autoencoder.encode_stage_2_inputs(batch)  # type: ignore[operator]  # both libraries' own method
    return np.asarray(latent[0].float().cpu().numpy())
