"""Validation errors as people must hear them: which field, what is wrong, what to do. Shared by settings and API."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `field` is a dotted path into the document as the user wrote it, '' for the document itself."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def field_errors(error: ValidationError, model: type[BaseModel]) -> list[FieldError]:
    """Every error of `error` as a sentence; `model` is what the document was validated against."""
    return [field_error(detail, model) for detail in error.errors(include_url=False)]


def field_error(detail: ErrorDetails, model: type[BaseModel]) -> FieldError:
    path, kind, known = _walk(model, detail["loc"])
    return FieldError(path, _sentence(detail, is_secret=_holds_secret(kind), known=known))


def close_match(word: str, known: Sequence[str]) -> str:
    """', did you mean ...?' for a likely typo, '; known: ...' otherwise."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f", did you mean {near[0]!r}?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def _sentence(detail: ErrorDetails, *, is_secret: bool, known: Sequence[str]) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    got = "" if is_secret else f", got {_short(detail['input'])}"
    match detail["type"]:
        case "missing":
            return "is required: add it"
        case "extra_forbidden":
            return f"unknown field{close_match(str(detail['loc'][-1]), known)}"
        case "finite_number":
            return "must be a finite number: NaN and Infinity are not accepted"
        case "timezone_aware":
            return "has no time zone: write it with an offset, for example 2026-11-27T18:00:00Z"
        case "value_error":
            return detail["msg"].removeprefix("Value error, ")
        case "literal_error" | "enum":
            return f"must be {context['expected']}{got}"
        case "union_tag_not_found":
            return f"needs {context['discriminator']} to say which kind it is"
        case "union_tag_invalid":
            return f"{context['discriminator']} must be one of {context['expected_tags']}, got {context['tag']!r}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}{got}"
        case "greater_than":
            return f"must be greater than {context['gt']}{got}"
        case "less_than_equal":
            return f"must be at most {context['le']}{got}"
        case "less_than":
            return f"must be less than {context['lt']}{got}"
        case "json_invalid":
            return f"is not valid JSON: {context['error']}"
        case _:
            return f"{detail['msg'].replace('Input should', 'must')}{got}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _walk(model: type[BaseModel], location: Location) -> tuple[str, Any, list[str]]:
    """The location as a dotted path without union tags, the annotation found there, and the fields known at its parent."""
    kind: Any = model
    known: list[str] = []
    path = ""
    for part in location:
        options = _options(kind)
        tagged = next((option for option in options if _has_tag(option, part)), None)
        if tagged is not None and not any(part in _fields(option) for option in options):
            kind = tagged
            continue
        known = [name for option in options for name in _fields(option)]
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        kind = _child(options, part)
    return path.lstrip("."), kind, known


def _options(kind: Any) -> list[Any]:
    """The members of a union, the inside of Annotated, or the annotation itself."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _options(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [option for member in get_args(kind) for option in _options(member)]
    return [kind]


def _fields(kind: Any) -> dict[str, Any]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {info.alias or name: info.annotation for name, info in kind.model_fields.items()}


def _has_tag(kind: Any, part: int | str) -> bool:
    """Whether `part` is the value of a Literal field of this model: pydantic puts the tag of a union into the location."""
    return any(get_origin(annotation) is Literal and part in get_args(annotation) for annotation in _fields(kind).values())


def _child(options: Sequence[Any], part: int | str) -> Any:
    for option in options:
        if part in _fields(option):
            return _fields(option)[str(part)]
        arguments = [argument for argument in get_args(option) if argument is not Ellipsis]
        if arguments and get_origin(option) in (list, tuple, dict):
            return arguments[-1]
    return None


def _holds_secret(kind: Any) -> bool:
    return any(option is SecretStr for option in _options(kind))
