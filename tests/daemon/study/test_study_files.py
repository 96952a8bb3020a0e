"""What the study reads and writes: monthly files, the JSON document, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.study.document import document
from daemon.study.short_runs import Block, Skipped, extrapolate
from daemon.study.study import Study, bundled_months, make_study, read_months
from jobs.energy.hardware import bundled_profiles
from tests.daemon.study.test_short_runs import TINY

HEADER = "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA)\n"


def test_any_zone_and_year_of_monthly_means_will_do(tmp_path: Path) -> None:
    path = tmp_path / "XX_2030_monthly.csv"
    path.write_text(HEADER + "2030-01-01 00:00:00,X,X,XX,90,100\n2030-02-01 00:00:00,X,X,XX,40,50\n", encoding="utf-8")
    made = make_study(bundled_profiles()["a100-sxm4-40gb"], read_months(path), "large")
    assert made.zone == "XX"
    assert made.months[0].kg == pytest.approx(2 * made.months[1].kg)
    assert "The months at hand do not hold both." in next(
        each.finding for each in made.inconsistencies if each.subject == "December and February"
    )


def test_the_bundled_year_is_germany_2023() -> None:
    months = bundled_months()
    assert (months[0].zone, len(months)) == ("DE", 12)
    assert {mean.interval.start.year for mean in months} == {2023}


def test_hourly_values_are_refused_in_one_sentence() -> None:
    hourly = Path(__file__).parents[3] / "forecast" / "data" / "demo" / "DE_2023-08_hourly.csv.gz"
    with pytest.raises(ValueError, match="holds hourly values: give a file of monthly means"):
        read_months(hourly)


def test_a_file_without_any_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "XX_2030_monthly.csv"
    path.write_text(HEADER + "2030-01-01 00:00:00,X,X,XX,,\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no monthly value"):
        read_months(path)


def test_the_document_holds_every_section_and_survives_json(a100_study: Study) -> None:
    run = extrapolate(TINY, [Block(1, 1.0, 40.0), Block(1, 1.0, 44.0)], [], "estimated")
    made = json.loads(json.dumps(document(a100_study, [run, Skipped("training", "8 x 8", "too big")]), allow_nan=False))
    assert made["paper"]["arxiv"] == "2407.14892"
    assert made["image_sizes"][-1]["paper_kg"] == 362.3
    assert made["calibration"]["residuals"][0]["phase"] == "training"
    assert made["short_runs"][0]["kg"] == pytest.approx(run.kg)
    assert made["short_runs"][1]["reason"] == "too big"
    assert len(made["inconsistencies"]) == 13


def test_every_figure_becomes_a_picture(a100_study: Study, tmp_path: Path) -> None:
    from daemon.study.plots import draw_figures

    drawn = draw_figures(a100_study, tmp_path / "new folder")
    assert [path.stem[:5] for path in drawn] == ["fig1-", "fig2-", "fig3a", "fig3b", "fig4a", "fig4b"]
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
