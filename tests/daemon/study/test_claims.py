"""Claims stand beside what they rest on, and no inconsistency of the paper is passed over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.study.study import Study

KNOWN = {
    "driving, 3D training": ("83.2 km", "92 km", "90 km", "91.5 km"),
    "driving, 2D": ("7.3 km", "9.1 km", "10 km", "168.2 km", "160 km"),
    "a 1,500 km flight such as Tokyo to Seoul": ("1,153 km", "1,210 km"),
    "average car in Europe": ("108.2 g/km", "newly registered"),
    "share of the 1.5 degree budget": ("33.7%", "34 %", "1,075 kg", "34.5%", "37.7%"),
    "Fig. 3a belongs to another experiment than the 362.3 kg": ("614", "608", "1,443 kWh", "10.1 kg", "961 kg"),
    "94 times": ("95.1", "94.2"),
    "kinds of carbon intensity": ("Sweden 7", "25 g/kWh", "882", "95 times Sweden in Table 1", "17 times"),
    "energy and PUE": ("1,000",),
    "PUE once or twice": ("1.55", "1.58"),
    "year of the German months": ("2023", "2022"),
    "December and February": ("not printed", "+24%"),
    "number of GPUs": ("one A100", "four"),
}


def test_every_known_inconsistency_is_stated_with_its_numbers(a100_study: Study) -> None:
    found = {each.subject: each.finding for each in a100_study.inconsistencies}
    assert found.keys() == KNOWN.keys()
    for subject, numbers in KNOWN.items():
        for words in numbers:
            assert words in found[subject], (subject, words)


@pytest.mark.parametrize(
    ("statement", "printed", "recomputed", "ours"),
    [
        ("synthesis, 256 x 256 x 192, as driving a car", "3,345 km", "3,348 km", r"3,1\d\d km"),
        ("training, 256 x 256 x 192, as driving a car", "92 km", "83.2 km", r"8\d\.\d km"),
        ("Poland over Sweden", "94 times", "95.1 by its factors, 94.2 by its results", r"95\.1 .* 35\.6 by life-cycle"),
        ("200 instead of 1,000 inference steps", "-80%", "-80%", r"-80\.0%"),
        ("dirtiest over cleanest month", "50%", "unknown", r"\+61% \(2023-02 518 over 2023-07 322 g/kWh\)"),
        ("training on four GPUs instead of one", "no significant reduction", "unknown", r"same global batch .* same batch per GPU"),
    ],
)
def test_claims_are_printed_recomputed_and_found(a100_study: Study, statement: str, printed: str, recomputed: str, ours: str) -> None:
    claim = next(each for each in a100_study.claims if each.statement == statement)
    assert printed in claim.printed
    assert recomputed in claim.recomputed
    assert re.search(ours, claim.ours)


def test_the_largest_volumes_stand_beside_published_tasks(a100_study: Study) -> None:
    assert "30 times the mean of image generation (2.907 kWh, sd 3.31)" in a100_study.power_hungry
    assert "1,594 g for Stable Diffusion XL" in a100_study.power_hungry


def test_the_readmes_table_is_the_studys(a100_study: Study) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    shown = re.findall(
        r"^\| (training|synthesis), ([\dx ]+) \| ([\d.]+) ± ([\d.]+) \| ([\d.]+) \| ([+-]\d+) % \| ([+-]\d+) % \|$", readme, re.M
    )
    printed = [each for each in a100_study.image_sizes if each.paper_kg is not None]
    assert len(shown) == len(printed)
    for row, each, residual in zip(shown, printed, a100_study.calibration.residuals, strict=True):
        assert row[:2] == (each.ours.phase, each.ours.image)
        assert (float(row[2]), float(row[3])) == (each.paper_kg, each.paper_sd_kg)
        assert float(row[4]) == pytest.approx(each.kg, rel=0.015)
        assert (int(row[5]), int(row[6])) == (round(100 * residual.in_sample), round(100 * residual.left_out))
