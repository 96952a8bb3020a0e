"""The numpy network: it reads what it wrote, and says what its PyTorch twin says."""

from __future__ import annotations

import io

import numpy as np
import pytest

from forecast.model.features import DAY_HOURS, HORIZON_HOURS, INPUT_COLUMNS, WEEK_HOURS, WINDOW_HOURS, SingleArray, by_lead
from forecast.model.network import NEWEST_DAY_SHARES, Member, Network, load, save

LEADS = np.arange(HORIZON_HOURS)


def inputs(rows: int = 6) -> SingleArray:
    return np.random.default_rng(0).normal(0, 1, (rows, INPUT_COLUMNS)).astype(np.float32)


def known(rows: int = 6, hours: int = WINDOW_HOURS) -> np.ndarray:
    return np.full(rows, hours)


def nothing(rows: int = 6) -> SingleArray:
    return np.zeros((rows, HORIZON_HOURS), dtype=np.float32)


def said(network: Network, zone: str = "DE", hours: int = WINDOW_HOURS) -> SingleArray:
    return network.opinions(inputs(), known(hours=hours), zone, nothing())


def test_a_network_reads_what_it_wrote() -> None:
    written, file = Network.bundled(), io.BytesIO()
    save(file, written)
    file.seek(0)
    read = load(file)
    assert read.zones == written.zones
    np.testing.assert_array_equal(said(read), said(written))


def test_a_file_that_holds_no_model_is_refused() -> None:
    file = io.BytesIO()
    np.savez(file, something=np.zeros(3))
    file.seek(0)
    with pytest.raises(ValueError, match="holds no Lowtide model"):
        load(file)


def test_quantiles_stand_in_order() -> None:
    opinions = Network.bundled().opinions(inputs(40) * 3, known(40), "FR", nothing(40))
    assert opinions.shape == (40, 2, 3, HORIZON_HOURS)
    assert (np.diff(opinions, axis=2) >= 0).all()


def test_each_window_is_forecast_alone_and_by_the_member_for_its_record() -> None:
    network = Network.bundled()
    mixed = np.array([WINDOW_HOURS, 24] * 3)
    short = mixed == 24
    both = network.opinions(inputs(), mixed, "PL", nothing())
    np.testing.assert_allclose(both[~short], said(network, "PL")[~short], atol=1e-4)
    np.testing.assert_allclose(both[short], said(network, "PL", 24)[short], atol=1e-4)
    np.testing.assert_array_equal(both[short, 0], both[short, 1], "of short records there is no second opinion")
    assert np.abs(both[~short, 0] - both[~short, 1]).mean() > 0.01


def drawn_to_newest_day(rows: SingleArray, hours: int) -> SingleArray:
    """The share of the way from what the networks say to the newest day again, by window and hour ahead."""
    network = Network.bundled()
    members = [member.quantiles(rows, by_lead(rows, LEADS), network.row("DE")) for member in network.cold]
    alone = np.sort(np.mean(members, axis=0), axis=2)[:, :, 1]
    newest_day = rows[:, WEEK_HOURS - DAY_HOURS : WEEK_HOURS][:, LEADS % DAY_HOURS]
    middle = network.opinions(rows, known(len(rows), hours), "DE", nothing(len(rows)))[:, 0, 1]
    share: SingleArray = ((middle - alone) * (newest_day - alone)).sum(axis=0) / np.square(newest_day - alone).sum(axis=0)
    return share


def ending(distance: float) -> SingleArray:
    """Windows whose newest hour lies `distance` spreads of their newest day from its first."""
    rows = inputs()
    wave = np.sin(2 * np.pi * np.arange(DAY_HOURS) / DAY_HOURS)
    for _ in range(50):  # the last hour is part of the day whose spread it is measured by
        wave[-1] = wave[0] + distance * wave.std()
    rows[:, WEEK_HOURS - DAY_HOURS : WEEK_HOURS] = wave
    return rows


def test_a_day_that_ends_as_it_began_is_expected_again_more_than_one_that_does_not() -> None:
    np.testing.assert_allclose(drawn_to_newest_day(ending(0.0), hours=24), NEWEST_DAY_SHARES, atol=1e-3)
    np.testing.assert_allclose(drawn_to_newest_day(ending(1.0), hours=24), NEWEST_DAY_SHARES / np.e, atol=1e-3)


def test_the_more_days_are_known_the_less_the_newest_is_expected_again() -> None:
    np.testing.assert_allclose(drawn_to_newest_day(ending(0.0), hours=120), NEWEST_DAY_SHARES / 5, atol=1e-3)


def test_a_day_without_any_change_is_no_obstacle() -> None:
    rows = inputs()
    rows[:, WEEK_HOURS - DAY_HOURS : WEEK_HOURS] = 0.5
    assert np.isfinite(Network.bundled().opinions(rows, known(hours=24), "DE", nothing())).all()


def test_known_zones_have_corrections_and_unknown_ones_share_none() -> None:
    network = Network.bundled()
    known, unknown, other = (said(network, zone) for zone in ("DE", "XY", "QQ"))
    assert not np.allclose(known, unknown)
    np.testing.assert_array_equal(unknown, other)


def test_what_the_zones_record_adds_moves_the_second_opinion_alone() -> None:
    network = Network.bundled()
    plain, moved = (network.opinions(inputs(), known(), "DE", nothing() + np.float32(each)) for each in (0.0, 0.5))
    np.testing.assert_array_equal(plain[:, 0], moved[:, 0])
    assert 0.4 < (moved - plain)[:, 1].mean() < 0.6


def test_the_bundled_model_is_small() -> None:
    network = Network.bundled()
    weights = sum(weight.size for member in (*network.members, *network.cold) for weight in member.weights.values())
    assert weights * 2 < 3_200_000, "bytes in half precision"


@pytest.mark.slow
def test_numpy_says_what_pytorch_says() -> None:
    torch = pytest.importorskip("torch")
    from forecast.model.learner import Learner, Recipe

    torch.manual_seed(0)
    learner = Learner(3, Recipe(epochs=1, encoder_width=16, lead_width=8)).eval()
    with torch.no_grad():
        for value in learner.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    rows, leads = inputs(), np.arange(HORIZON_HOURS)
    for zone_row in (0, 2):
        member: Member = learner.member()
        aligned = by_lead(rows, leads)
        expected = learner(torch.from_numpy(rows), torch.from_numpy(aligned), torch.full((6,), zone_row), torch.from_numpy(leads))
        np.testing.assert_allclose(member.quantiles(rows, aligned, zone_row), expected.detach().numpy(), atol=1e-4)
