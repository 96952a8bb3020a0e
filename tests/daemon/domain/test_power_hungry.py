"""The comparison with published tasks: golden figures, and no grams where they are unknown."""

from __future__ import annotations

from daemon.domain.power_hungry import comparison_line


def test_one_of_the_papers_largest_volumes_is_32_mean_generated_images() -> None:
    line = comparison_line(93.0, 36_230.0)  # 93 Wh and 36.23 g a volume
    assert "93 kWh: 32 times the mean of image generation (2.907 kWh, sd 3.31)" in line
    assert "36,230 g CO2e beside 1,594 g for Stable Diffusion XL, on another grid" in line


def test_unknown_grams_are_left_out() -> None:
    line = comparison_line(0.0047, None)
    assert "0.1 times that of text generation (0.047 kWh)" in line
    assert "CO2e" not in line
