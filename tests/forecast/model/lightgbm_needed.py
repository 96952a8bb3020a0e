"""LightGBM for tests that train trees: in the development lock, but its library needs Debian's libgomp1."""

from __future__ import annotations

from types import ModuleType

import pytest


def lightgbm_or_skip() -> ModuleType:
    try:
        import lightgbm
    except (ImportError, OSError) as problem:
        pytest.skip(f"training trees needs lightgbm and libgomp1: {problem}")
    module: ModuleType = lightgbm
    return module
