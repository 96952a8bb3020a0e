"""How domain values lie in columns; every difference between the databases' types is in this module.

What a tick reads by the thousand (`Instant`, `Word`, `Document`) says itself how a column's value becomes ours, instead of by
`process_result_value`: that one costs two calls more for each value, and the types that these lie in have nothing to add.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, SmallInteger, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from forecast.timeline import as_utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

W = TypeVar("W", bound=StrEnum)
N = TypeVar("N", bound=IntEnum)

# Numbers given by the database, in order of writing. SQLite numbers by itself only what it calls INTEGER.
SEQUENCE: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")


def text_id(length: int = 64) -> TypeEngine[str]:
    """An id or cursor: compared byte by byte everywhere (PostgreSQL would follow the locale)."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class Instant(TypeDecorator[datetime]):
    """An instant as whole microseconds since 1970-01-01T00:00Z: exact, ordered, the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (as_utc(value) - _EPOCH) // _MICROSECOND

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _instant


@lru_cache(maxsize=16384)
def _instant(microseconds: int | None) -> datetime | None:
    """Remembered, as a tick reads the same jobs and attempts again and again."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


class Word(TypeDecorator[W], Generic[W]):
    """A closed set of words, stored as the words themselves."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[W]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: W | None, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], W | None]:
        by_text: dict[str | None, W | None] = {None: None} | {word.value: word for word in self.words}
        return by_text.__getitem__


class Step(TypeDecorator[N], Generic[N]):
    """A closed set of numbered steps, stored as the numbers."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, steps: type[N]) -> None:
        super().__init__()
        self.steps = steps

    def process_bind_param(self, value: N | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> N | None:
        return None if value is None else self.steps(value)


class Document(TypeDecorator[Any]):
    """An immutable value as JSON text, validated by its type on the way out.

    Reading remembers the last few thousand texts: a tick reads the same requests again and again.
    """

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _adapter(self.kind).dump_json(value, by_alias=True).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        return partial(_parsed, self.kind)


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@lru_cache(maxsize=4096)
def _parsed(kind: Any, text: str | None) -> Any:
    return None if text is None else _adapter(kind).validate_json(text)


class FloatArray(TypeDecorator["NDArray[np.float64]"]):
    """Little-endian float64 bytes; NaN survives."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: NDArray[np.float64] | None, dialect: Dialect) -> bytes | None:
        return None if value is None else np.asarray(value, dtype="<f8").tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> NDArray[np.float64] | None:
        return None if value is None else np.frombuffer(value, dtype="<f8").astype(np.float64)
