"""Workloads, profiles and observed runs for the tests of the energy model."""

from __future__ import annotations

import datetime as dt
from typing import Any

from jobs.energy.configuration import Configuration, synthesis_configuration
from jobs.energy.hardware import Coefficients, HardwareProfile, Overhead
from jobs.energy.observation import RunObservation
from jobs.spec import DataSpec, ModelSpec, SynthesisWorkload, TrainingWorkload, WeightsSpec

FREE = Overhead(seconds_each=0, seconds_per_gb=0)
TINY_2D = ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64))
TINY_3D = ModelSpec(dimensions=3, size="tiny", image_shape=(32, 32, 32))
PAPER_3D = ModelSpec(dimensions=3, size="large", image_shape=(256, 256, 192))


def training(model: ModelSpec = TINY_2D, **changes: Any) -> TrainingWorkload:
    settings: dict[str, Any] = {"iterations": 400, "autoencoder_iterations": 100, "batch_size": 4, "data": DataSpec(path="scans")} | changes
    return TrainingWorkload(kind="training", model=model, **settings)


def synthesis(model: ModelSpec = TINY_2D, **changes: Any) -> SynthesisWorkload:
    settings: dict[str, Any] = {"samples": 200, "inference_steps": 20, "batch_size": 4} | changes
    return SynthesisWorkload(kind="synthesis", model=model, weights=WeightsSpec(path="weights.pt"), **settings)


def profile(**changes: Any) -> HardwareProfile:
    """A GPU whose steps cost 10 ms and 2 J each, plus 1 ns and 0.2 uJ per kFLOP, whatever they do, and whose disk costs nothing."""
    coefficients = tuple(
        Coefficients(
            operation=operation,
            dimensions=dimensions,
            seconds={"step": 0.01, "flops": 1e-12},
            joules={"step": 2.0, "flops": 2e-10},
            spread=0.1,
            flops_range=(1e7, 1e12),
            cases=6,
        )
        for operation in ("train", "denoise", "encode", "decode", "vqgan")
        for dimensions in (2, 3)
    )
    settings: dict[str, Any] = {
        "key": "test-gpu",
        "kind": "gpu",
        "devices": ("a device",),
        "idle_watts": 50.0,
        "tdp_watts": 300.0,
        "host_cpus": 8,
        "startup_seconds": 5.0,
        "startup_joules": 500.0,
        "checkpoint": FREE,
        "preparation": FREE,
        "coefficients": coefficients,
        "provenance": {"seconds": "made up"},
        "made_on": dt.date(2026, 1, 1),
    }
    return HardwareProfile(**(settings | changes))


def observed(
    joules_per_step: float, seconds_per_step: float, configuration: Configuration | None = None, hardware: str = "test-gpu", **changes: Any
) -> RunObservation:
    """A run of 100 steps; of the standard synthesis unless told otherwise."""
    return RunObservation(
        hardware=hardware,
        configuration=configuration or synthesis_configuration(synthesis()),
        steps=100,
        seconds=100 * seconds_per_step,
        joules=100 * joules_per_step,
        **changes,
    )
