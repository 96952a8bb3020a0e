"""The study as one JSON document: energies in kWh at the machine (without PUE), emissions in kg CO2e with PUE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from daemon.study import paper
from daemon.study.short_runs import ShortRun, Skipped
from daemon.study.study import Study


def document(study: Study, runs: Sequence[ShortRun | Skipped]) -> dict[str, Any]:
    """Everything the tables show, unrounded."""
    return {
        "paper": {
            "title": "Latent Pollution Model: The Hidden Carbon Footprint in 3D Image Synthesis",
            "arxiv": "2407.14892",
            "pue": paper.PUE,
            "direct_g_per_kwh": paper.DIRECT_G_PER_KWH,
            "training_iterations": paper.TRAINING_ITERATIONS,
            "synthesis_samples": paper.SYNTHESIS_SAMPLES,
        },
        **asdict(study),
        "short_runs": [_run(run) for run in runs],
    }


def _run(run: ShortRun | Skipped) -> dict[str, Any]:
    return asdict(run) if isinstance(run, Skipped) else {**asdict(run), "kg": run.kg, "sd_kg": run.sd_kg}
