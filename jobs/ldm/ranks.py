"""The processes that train together (torch.distributed), and what they do in step. One process alone is the usual case.

A batch is the same rows in the same order however many processes share it, and everything random is drawn for the whole
batch, so the number of processes changes the last bits of a training and nothing else. Gradients are averaged in one flat
sum of a fixed order, not in DistributedDataParallel's buckets: those are laid out anew after a restart, which would make a
resumed training differ from an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Ranks:
    """`count` processes, of which this is number `rank`. All of them must call each method, in the same order."""

    rank: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> slice:
        """This process's rows of a batch; `count` divides `batch_size`."""
        share = batch_size // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes, whose shares of the batch are equal."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.reshape(gradient.shape))

    def mean(self, value: Tensor) -> float:
        """The mean of a number over the processes."""
        value = value.detach()
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
            value /= self.count
        return float(value)

    def all_agree(self, mine: bool) -> bool:
        """Whether every process says yes."""
        if self.count == 1:
            return mine
        votes = torch.tensor([int(mine)])
        dist.all_reduce(votes, op=dist.ReduceOp.MIN)
        return bool(votes.item())

    def gather(self, rows: Tensor) -> Tensor:
        """All processes' rows, in the order of the batch."""
        if self.count == 1:
            return rows
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.count)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)
