"""`lowtide zones ZONE` against a scripted daemon."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Lowtide


def test_one_zone_shows_its_months_what_was_left_out_and_how_good_its_forecasts_were(lowtide: Lowtide) -> None:
    answer = lowtide("zones", "SE")
    assert answer.exit_code == 0, answer.output
    assert "Months of SE, hourly values, portal" in answer.stdout
    assert "35.0 to 45.0" in answer.stdout
    assert "December 2026 is the cleanest known month." in answer.stdout
    assert "3 months of another release left out: releases and kinds are never mixed." in answer.stdout
    assert "Forecasts of the last four weeks" in answer.stdout
    assert "lowtide model: 8 h jobs with 24 h slack planned by it would have kept 71.0% of the hindsight saving; 12.0%" in " ".join(
        answer.stdout.split()
    )


def test_one_zone_is_one_document_for_programs(lowtide: Lowtide) -> None:
    document = json.loads(lowtide("zones", "SE", "--json").stdout)
    assert document["seasons"]["best_month"]["g_per_kwh"] == 40.0
    assert document["skill"][0]["savings_kept"] == 0.9


def test_a_zone_that_no_site_has_is_one_sentence(lowtide: Lowtide) -> None:
    answer = lowtide("zones", "FR")
    assert answer.exit_code == 1
    assert "there is no zone 'FR'" in answer.stderr
