"""Training of one network with PyTorch: the mirror of `forecast.model.network.Member`, its loss and its optimiser.

Only the training command imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from forecast.model.dataset import NEAR_HOURS, Examples
from forecast.model.features import HORIZON_HOURS, INPUT_COLUMNS, LEAD_COLUMNS, by_lead
from forecast.model.network import QUANTILES, Member
from forecast.scoring import IntArray


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained. Leads are drawn anew for every batch, half of them from the first day."""

    epochs: int
    batch: int = 1024
    leads_per_batch: int = 26
    encoder_width: int = 192
    lead_width: int = 64
    dropout: float = 0.3
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.3
    zone_learning_rate: float = 3e-3
    zone_weight_decay: float = 0.05
    anonymous_share: float = 0.15
    """Examples shown without their zone, so that the network also knows what to say of an unknown one."""
    ridge: float = 300.0


class Learner(nn.Module):
    """The network in PyTorch. Zone tables have row 0 for any zone without corrections; it stays zero."""

    def __init__(self, zones: int, recipe: Recipe) -> None:
        super().__init__()
        encoder, lead, outputs = recipe.encoder_width, recipe.lead_width, len(QUANTILES)
        self.encoder_in = nn.Linear(INPUT_COLUMNS, encoder)
        self.encoder_out = nn.Linear(encoder, encoder)
        self.context = nn.Linear(encoder, lead)
        self.lead_in = nn.Linear(LEAD_COLUMNS, lead)
        self.lead_hidden = nn.Linear(lead, lead)
        self.lead_out = nn.Linear(lead, outputs)
        self.lead_skip = nn.Linear(LEAD_COLUMNS, outputs)
        self.skip = nn.Linear(INPUT_COLUMNS, HORIZON_HOURS)
        self.lead_bias = nn.Parameter(torch.randn(HORIZON_HOURS, lead) * 0.1)
        self.lead_correction = nn.Parameter(torch.zeros(HORIZON_HOURS, lead, outputs))
        self.zone_encoder = nn.Parameter(torch.zeros(zones + 1, encoder))
        self.zone_context = nn.Parameter(torch.zeros(zones + 1, lead))
        self.zone_lead = nn.Parameter(torch.zeros(zones + 1, HORIZON_HOURS * outputs))
        self.dropout = nn.Dropout(recipe.dropout)
        self.light_dropout = nn.Dropout(recipe.dropout / 3)
        for layer in (self.lead_out, self.lead_skip):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor, aligned: Tensor, zone_rows: Tensor, leads: Tensor) -> Tensor:
        """(examples, leads, quantiles) for the chosen `leads`; see `Member.quantiles`."""
        known = (zone_rows > 0).float()[:, None]
        summary = self.dropout(torch.relu(self.encoder_in(inputs) + known * self.zone_encoder[zone_rows]))
        summary = self.dropout(torch.relu(self.encoder_out(summary)))
        context = self.context(summary) + known * self.zone_context[zone_rows]
        hidden = self.light_dropout(torch.relu(self.lead_in(aligned) + self.lead_bias[leads] + context[:, None, :]))
        hidden = self.light_dropout(torch.relu(self.lead_hidden(hidden)))
        output = self.lead_out(hidden) + self.lead_skip(aligned)
        per_lead = torch.matmul(hidden.transpose(0, 1), self.lead_correction[leads]).transpose(0, 1)
        linear = nn.functional.linear(inputs, self.skip.weight[leads], self.skip.bias[leads])
        zone_lead = self.zone_lead.view(len(self.zone_lead), HORIZON_HOURS, -1)[zone_rows][:, leads]
        total: Tensor = output + per_lead + linear[:, :, None] + known[:, :, None] * zone_lead
        return total

    def member(self) -> Member:
        """The trained weights as the numpy network reads them."""
        weights = {name: value.detach().numpy().astype(np.float32) for name, value in self.named_parameters()}
        for name in ("zone_encoder", "zone_context", "zone_lead"):
            weights[name][0] = 0.0
        return Member(weights)


def train(data: Examples, zones: int, recipe: Recipe, seed: int) -> Member:
    """One network trained on `data`. The same data, recipe and seed give the same weights on the same machine."""
    torch.set_num_threads(1)  # sums over several threads come out in another order each time
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    learner = Learner(zones, recipe)
    _start_from_ridge(learner, data, recipe.ridge)
    optimiser, schedule = _optimiser(learner, recipe, steps=recipe.epochs * (len(data) // recipe.batch))
    for _ in range(recipe.epochs):
        order = random.permutation(len(data))
        for first in range(0, len(data) - recipe.batch + 1, recipe.batch):
            rows = order[first : first + recipe.batch]
            optimiser.zero_grad()
            _loss(learner, data, rows, recipe, random).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return learner.eval().member()


def _start_from_ridge(learner: Learner, data: Examples, ridge: float) -> None:
    """Begin with the linear road alone, solved exactly, and with constant distances of the outer quantiles."""
    inputs = torch.from_numpy(data.inputs).double()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
    truth = torch.from_numpy(data.targets).double()
    penalty = ridge * torch.eye(inputs.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ truth)
    with torch.no_grad():
        residuals = (truth - inputs @ solution)[:20_000].flatten().numpy()
        learner.skip.weight.copy_(solution[:-1].T)
        learner.skip.bias.copy_(solution[-1])
        learner.lead_out.bias.copy_(torch.from_numpy(np.quantile(residuals, QUANTILES)))


def _optimiser(learner: Learner, recipe: Recipe, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    shared = [value for name, value in learner.named_parameters() if not name.startswith("zone_")]
    zones = [value for name, value in learner.named_parameters() if name.startswith("zone_")]
    groups = [
        {"params": shared, "weight_decay": recipe.weight_decay},
        {"params": zones, "weight_decay": recipe.zone_weight_decay},
    ]
    rates = [recipe.learning_rate, recipe.zone_learning_rate]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=max(steps, 1), pct_start=0.1)


def _loss(learner: Learner, data: Examples, rows: IntArray, recipe: Recipe, random: np.random.Generator) -> Tensor:
    """The pinball loss of the three quantiles as a share of persistence's error, near and far leads counting alike."""
    half = recipe.leads_per_batch // 2
    far = NEAR_HOURS + random.choice(HORIZON_HOURS - NEAR_HOURS, half, replace=False)
    leads = np.concatenate([random.choice(NEAR_HOURS, half, replace=False), far])
    zone_rows = np.where(random.random(len(rows)) < recipe.anonymous_share, 0, data.zone_rows[rows])
    inputs = data.inputs[rows]
    forecast = learner(
        torch.from_numpy(inputs), torch.from_numpy(by_lead(inputs, leads)), torch.from_numpy(zone_rows), torch.from_numpy(leads)
    )
    error = torch.from_numpy(data.targets[rows][:, leads])[:, :, None] - forecast
    quantiles = torch.tensor(QUANTILES)
    loss = torch.maximum(quantiles * error, (quantiles - 1) * error).sum(dim=2)
    near_weight, far_weight = (torch.from_numpy(weight[rows])[:, None] for weight in (data.near_weight, data.far_weight))
    return (near_weight * loss[:, :half]).mean() + (far_weight * loss[:, half:]).mean()
