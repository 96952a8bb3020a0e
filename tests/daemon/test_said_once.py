"""JSON in which no key stands twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.said_once import SaidTwice, each_once

DOCUMENTS = st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(DOCUMENTS)
def test_what_says_everything_once_is_read_as_it_is(document: Any) -> None:
    assert json.loads(json.dumps(document), object_pairs_hook=each_once) == document


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 1}', '[{"deep": {"a": {}, "\\u0061": []}}]'])
def test_a_key_that_stands_twice_is_named_however_deep_and_however_written(text: str) -> None:
    with pytest.raises(SaidTwice, match="'a' stands twice in one object"):
        json.loads(text, object_pairs_hook=each_once)
