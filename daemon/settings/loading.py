"""Reads the settings: `lowtide.toml`, then LOWTIDE_* variables, then the command line; each value remembers where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from daemon.settings.schema import Settings
from daemon.validation import close_match, field_errors

DEFAULT_FILE = Path("lowtide.toml")

# Variables with our prefix that are not settings: the command line's own, and those a node or a test run sets.
OTHER_VARIABLES = (
    "LOWTIDE_CONFIG",
    "LOWTIDE_URL",
    "LOWTIDE_TOKEN",
    "LOWTIDE_ATTEMPT",
    "LOWTIDE_RUN_DIRECTORY",
    "LOWTIDE_TRACES",
    "LOWTIDE_REQUIRE_SERVICES",
)

Tree = dict[str, Any]


class SettingsProblem(Exception):
    """The settings cannot be used; `str()` is one sentence that says what, where, and what to do."""


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings, the file they were read from (None: there is none), and the origin of each value by dotted
    lower-case key."""

    settings: Settings
    file: Path | None
    origins: Mapping[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """(key, value, origin) of every effective value, secrets hidden."""
        for key, value in _leaves(_shown(self.settings.model_dump())):
            yield key, value, _origin(key, self.origins)


def load_settings(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> LoadedSettings:
    """Read `file` (default: `lowtide.toml` here, if there is one), the environment and `overrides`; the later wins.

    Raises SettingsProblem with one sentence.
    """
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    from_file = {} if chosen is None else _read_toml(chosen)
    from_environment = _read_environment()
    origins = {key.lower(): str(chosen) for key, _ in _leaves(from_file)}
    origins |= {key.lower(): _variable_of(key) for key, _ in _leaves(from_environment)}
    origins |= {key.lower(): "command line" for key, _ in _leaves(dict(overrides or {}))}
    merged = _merge(_merge(from_file, from_environment), dict(overrides or {}))
    try:
        return LoadedSettings(Settings(**merged), chosen, origins)
    except ValidationError as error:
        raise SettingsProblem(_first_sentence(error, origins, chosen)) from None


def _read_toml(file: Path) -> Tree:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsProblem(f"{file}: cannot be read ({error.strerror}): check the path and its permissions") from None
    except UnicodeDecodeError as error:
        raise SettingsProblem(f"{file}: is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    try:
        return tomllib.loads(text + "\n")  # so that a mistake in the last line has a line number, not "at end of document"
    except tomllib.TOMLDecodeError as error:
        raise SettingsProblem(f"{file}: is not valid TOML: {error}: correct that line") from None


def _read_environment() -> Tree:
    known = tuple(Settings.model_fields)
    for variable in os.environ:
        name = variable.upper()
        if not name.startswith("LOWTIDE_") or name in OTHER_VARIABLES:
            continue
        section = name.removeprefix("LOWTIDE_").split("__")[0].lower()
        if section not in known:
            raise SettingsProblem(f"environment variable {variable}: there is no setting {section!r}{close_match(section, known)}")
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise SettingsProblem(f"environment: {error}: lists and tables are written as JSON") from None


def _merge(under: Tree, over: Mapping[str, Any]) -> Tree:
    """Both trees; where both have a value `over` wins. Lists are replaced as a whole."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _first_sentence(error: ValidationError, origins: Mapping[str, str], file: Path | None) -> str:
    problems = field_errors(error, Settings)
    first = problems[0]
    origin = _origin(first.field, origins)
    if origin == "default":
        origin = str(file) if file else "settings"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{origin}: {first}{more}"


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every value that is not itself a table or a list of tables."""
    if isinstance(tree, dict) and (tree or not key):
        for name, value in tree.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(tree, list | tuple) and any(isinstance(item, dict) for item in tree):
        for index, item in enumerate(tree):
            yield from _leaves(item, f"{key}[{index}]")
    else:
        yield key, tree


def _shown(value: Any) -> Any:
    """The same tree as plain printable values; a secret keeps only whether it is set, a URL loses its password."""
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, SecretStr):
        return str(value)
    if isinstance(value, str) and "://" in value and "@" in value:
        scheme, _, rest = value.partition("://")
        account, _, place = rest.rpartition("@")
        return f"{scheme}://{account.partition(':')[0]}:**********@{place}" if ":" in account else value
    return value


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """Where `key` came from; a part answers for its whole. Variables know no case, so neither do the keys of `origins`."""
    key = key.lower()
    if key in origins:
        return origins[key]
    below = [origin for other, origin in origins.items() if other.startswith((f"{key}.", f"{key}["))]
    return below[0] if below else "default"


def _variable_of(key: str) -> str:
    return f"LOWTIDE_{key.split('[')[0].replace('.', '__').upper()}"
