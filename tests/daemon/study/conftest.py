"""Studies made once for all tests: on the bundled A100, and on the bundled CPU."""

from __future__ import annotations

import pytest

from daemon.study.study import Study, bundled_months, make_study
from jobs.energy.hardware import bundled_profiles


@pytest.fixture(scope="session")
def a100_study() -> Study:
    return make_study(bundled_profiles()["a100-sxm4-40gb"], bundled_months(), "large")


@pytest.fixture(scope="session")
def cpu_study() -> Study:
    return make_study(bundled_profiles()["generic-cpu"], bundled_months(), "large")
