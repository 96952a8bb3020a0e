from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.energy.configuration import synthesis_configuration
from jobs.energy.flops import OPERATIONS
from jobs.energy.hardware import HardwareProfile, MeasuredStep, UnreadableProfile, bundled_profiles, profile_for, read_profile
from jobs.energy.model import EnergyModel, OriginKind
from tests.jobs.energy.builders import profile, synthesis


@pytest.mark.parametrize("bundled", bundled_profiles().values(), ids=lambda each: each.key)
def test_a_bundled_profile_covers_every_operation_and_says_where_its_numbers_come_from(bundled: HardwareProfile) -> None:
    covered = {(each.operation, each.dimensions) for each in bundled.coefficients}

    assert covered == {(operation, dimensions) for operation in OPERATIONS for dimensions in (2, 3)}
    assert all(words.split(":")[0] in {"measured", "estimated", "inferred", "assumed"} for words in bundled.provenance.values())
    assert bundled.key in {"generic-cpu", "a100-sxm4-40gb"}


def test_a_profile_survives_a_trip_through_its_file(tmp_path: Path) -> None:
    path = tmp_path / "test-gpu.json"
    path.write_text(profile().model_dump_json(indent=1))

    assert read_profile(path) == profile()


# What `lowtide profile` did not write in its first days.
YOUNGER = {"pace_spread": None, "others_share": None, "checkpoint": None, "preparation": None}
YOUNGER_OF_STEPS = {"joules_spread": None}


def test_a_file_from_before_a_field_was_added_is_still_read_and_what_it_lacks_is_unknown(tmp_path: Path) -> None:
    step = MeasuredStep(configuration=synthesis_configuration(synthesis()), seconds=0.1, joules=3.0, spread=0.02, steps=10)
    document = profile(measured=(step,)).model_dump(mode="json")
    for field in YOUNGER:
        del document[field]
    for field in YOUNGER_OF_STEPS:
        del document["measured"][0][field]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))

    old = read_profile(path)

    assert {field: getattr(old, field) for field in YOUNGER} == YOUNGER
    assert {field: getattr(old.measured[0], field) for field in YOUNGER_OF_STEPS} == YOUNGER_OF_STEPS
    assert old.measured[0].joules == 3.0


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("tdp_watts", -5, "tdp_watts"),
        ("wattage", 5, "wattage"),
        ("made_on", "yesterday", "made_on"),
        ("idle_watts", float("nan"), "idle_watts"),
    ],
)
def test_a_wrong_profile_is_refused_in_one_sentence_with_file_and_field(tmp_path: Path, field: str, value: object, complaint: str) -> None:
    path = tmp_path / "my gpu.json"
    path.write_text(json.dumps(profile().model_dump(mode="json") | {field: value}))

    with pytest.raises(UnreadableProfile, match=rf"my gpu\.json: {complaint}.*lowtide profile"):
        read_profile(path)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "torn.json"
    path.write_text('{"key": "te')

    with pytest.raises(UnreadableProfile, match=r"torn\.json: the file"):
        read_profile(path)


def test_coefficients_that_cost_nothing_are_refused() -> None:
    document = profile().model_dump(mode="json")
    document["coefficients"][0]["seconds"] = {"flops": 0.0}

    with pytest.raises(ValueError, match="at least one feature must cost something"):
        HardwareProfile.model_validate(document)


def test_the_operators_own_profile_is_named_by_its_file_and_counts_as_this_very_hardware(tmp_path: Path) -> None:
    path = tmp_path / "our gpu.json"
    path.write_text(profile(devices=("mine",)).model_dump_json())
    own = profile_for(str(path))

    assert own.devices == ("mine",)
    assert EnergyModel(own, hardware=str(path)).estimate(synthesis()).origin_kind is OriginKind.COEFFICIENTS


def test_a_profile_file_that_is_not_there_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnreadableProfile, match=r"absent\.json: No such file.*`lowtide profile`"):
        profile_for(str(tmp_path / "absent.json"))


@pytest.mark.parametrize(("hardware", "stand_in"), [("xeon-cpu-64", "generic-cpu"), ("h100-sxm", "a100-sxm4-40gb")])
def test_unknown_hardware_gets_the_profile_of_a_similar_device(hardware: str, stand_in: str) -> None:
    assert profile_for(hardware).key == stand_in
