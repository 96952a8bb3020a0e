"""The moving average of a network's weights, whose samples are better than those of the last weights (Ho et al. 2020, appendix B)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEAST_STEPS = 10  # the average follows at once in the beginning, so that short trainings do not keep the weights drawn at random


class MovingAverage:
    """average = d x average + (1 - d) x weights after each step, d = min(decay, (1 + steps) / (10 + steps)).

    A function of the network and the number of steps, and kept in checkpoints, so that resuming changes nothing.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._weights = dict(network.named_parameters())
        self._decay = decay
        self._average = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after step `step` (from 0)."""
        decay = min(self._decay, (1 + step) / (_LEAST_STEPS + step))
        torch._foreach_lerp_(list(self._average.values()), list(self._weights.values()), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        return self._average

    def restore(self, state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            self._average[name].copy_(value)

    @torch.no_grad()
    def write_into(self, network: nn.Module) -> None:
        """Give the network the averaged weights; its buffers stay."""
        for name, parameter in network.named_parameters():
            parameter.copy_(self._average[name])
