"""Deviation of what each sampler draws, beside that of the data: `python -m tests.bench.samplers`, some seconds.

The network is an exact denoiser of data that are normal with deviation 0.10, so that all that is off is the sampler's own doing.
A cell is the sampled deviation, and what it is off from the true one; fewer DDPM steps are refused, as a job's spec refuses them.
"""

from __future__ import annotations

import sys

from pydantic import ValidationError

from jobs.spec import Sampler, SynthesisWorkload
from tests.jobs.exact_denoiser import TRUE_DEVIATION, run, start
from tests.jobs.processes import synthesis

SAMPLERS: tuple[Sampler, ...] = ("ddim", "pndm", "ddpm")
STEPS = (1000, 200, 50)


def main() -> int:
    print(f"data: deviation {TRUE_DEVIATION:.4f}")
    print(f"| sampler | {' | '.join(f'{steps:,} steps' for steps in STEPS)} |")
    print("| --- |" + " --- |" * len(STEPS))
    for sampler in SAMPLERS:
        print(f"| {sampler.upper()} | {' | '.join(cell(sampler, steps) for steps in STEPS)} |", flush=True)
    return 0


def cell(sampler: Sampler, steps: int) -> str:
    try:
        SynthesisWorkload.model_validate(synthesis(sampler=sampler, inference_steps=steps))
    except ValidationError:
        return "refused"
    deviation = float(run(start(sampler, steps)).std())
    return f"{deviation:.4f} ({100 * (deviation / TRUE_DEVIATION - 1):+.0f} %)"


if __name__ == "__main__":
    sys.exit(main())
