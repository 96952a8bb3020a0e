"""Settings: precedence, origins, secrets, and one clear sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settings import Settings, SettingsProblem, load_settings
from daemon.settings.server import ServerSettings
from daemon.validation import close_match


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lowtide.toml"


def test_an_empty_folder_gives_one_local_site_on_the_world_mean(write: Path) -> None:
    loaded = load_settings()
    assert loaded.file is None
    assert [site.name for site in loaded.settings.sites] == ["local"]
    assert loaded.settings.uses_default_site
    assert loaded.settings.home == "local"


def test_the_command_line_wins_over_the_environment_which_wins_over_the_file(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write.write_text("[server]\nport = 1\nhost = '127.0.0.2'\n[planner]\nretries = 7\n")
    monkeypatch.setenv("LOWTIDE_SERVER__PORT", "2")
    monkeypatch.setenv("LOWTIDE_SERVER__HOST", "127.0.0.3")
    loaded = load_settings(overrides={"server": {"port": 3}})
    server = loaded.settings.server
    assert (server.port, server.host, loaded.settings.planner.retries) == (3, "127.0.0.3", 7)
    origins = {key: origin for key, _, origin in loaded.rows()}
    assert origins["server.port"] == "command line"
    assert origins["server.host"] == "LOWTIDE_SERVER__HOST"
    assert origins["planner.retries"] == "lowtide.toml"
    assert origins["database"] == "default"


def test_secrets_are_hidden_wherever_settings_are_shown(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write.write_text(
        "database = 'postgresql+psycopg://lowtide:hunter2@db/lowtide'\n"
        "[electricity_maps]\ntoken = 'emaps-secret'\ntokens = { SE = 'swedish-secret' }\n"
        "[[server.tokens]]\nname = 'ada'\ntoken = 'a-long-enough-secret'\nscopes = ['submit']\n"
    )
    monkeypatch.setenv("LOWTIDE_ELECTRICITY_MAPS__TOKENS__DE", "german-secret")
    loaded = load_settings()
    shown = "\n".join(f"{key}={value}" for key, value, _ in loaded.rows()) + repr(loaded.settings)
    assert "electricity_maps.tokens.DE=**********" in shown
    assert "secret" not in shown.replace("Secret", "")
    assert "hunter2" not in "\n".join(f"{value}" for _, value, _ in loaded.rows())


def test_a_zone_token_from_the_environment_finds_its_upper_case_zone(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_ELECTRICITY_MAPS__TOKENS__SE", "swedish")
    loaded = load_settings()
    assert loaded.settings.electricity_maps.tokens["SE"].get_secret_value() == "swedish"
    origins = {key: origin for key, _, origin in loaded.rows()}
    assert origins["electricity_maps.tokens.SE"] == "LOWTIDE_ELECTRICITY_MAPS__TOKENS__SE"


SITE = "[[sites]]\nname = 'a'\nzone = 'DE'\n"

REPLAY = "[replay]\ngrid_start = 2023-01-01T00:00:00Z\nrate = 60\n"

MISTAKES = {
    "a = = 3": ["lowtide.toml", "not valid TOML", "line 1"],
    "[server]\nport = 1\nport = 2": ["lowtide.toml", "not valid TOML", "line 3"],
    "databse = 'x'": ["lowtide.toml: databse", "unknown", "did you mean 'database'"],
    "[server]\nprot = 3": ["server.prot", "did you mean 'port'"],
    "[server]\nport = 'x'": ["server.port", "integer", "'x'"],
    "[server]\nport = 99999": ["server.port", "at most 65535", "99999"],
    "database = 'mysql://x'": ["database", "sqlite:///lowtide.db"],
    SITE + "pue = 0.5": ["sites[0].pue", "at least 1", "0.5"],
    SITE + "pue = nan": ["sites[0].pue", "finite"],
    SITE + "gpus = 0": ["sites[0].gpus", "at least 1"],
    SITE + "admits = ['secrets']": ["sites[0].admits", "patient-data"],
    SITE + "run_root = 's3://bucket'": ["sites[0].run_root", "folder of this machine"],
    SITE + "executor = 'slurm'": ["sites[0].executor", "not available in this version", "'local'"],
    SITE + "command_prefix = ['ssh', 'x']": ["sites[0].command_prefix", "remove it"],
    "[[sites]]\nname = 'a'": ["sites[0].zone", "required"],
    "[[sites]]\nname = 'Not a name'\nzone = 'DE'": ["sites[0].name", "lower-case"],
    "[[sites]]\nname = 'a'\nzone = 'de'": ["sites[0].zone", "'DE'"],
    SITE + SITE: ["sites", "'a'", "rename"],
    "sites = []": ["sites", "at least one"],
    SITE + "[defaults]\nhome = 'b'": ["defaults.home", "'b'", "known: a"],
    "[[server.tokens]]\nname = 'x'\ntoken = 'short'": ["server.tokens[0]", "16 characters"],
    "[[server.tokens]]\nname = 'x'\ntoken = 'long-enough-0123456789'\nscopes = ['admin']\nprojects = ['ct']": [
        "server.tokens[0]",
        "may do all",
    ],
    "[[server.tokens]]\nname = 'x'\ntoken = 'long-enough-0123456789'\n[[server.tokens]]\nname = 'y'\ntoken = 'long-enough-0123456789'": [
        "server.tokens",
        "'x' and 'y' have the same token",
    ],
    "[[server.tokens]]\nname = 'x'": ["server.tokens[0]", "exactly one of 'token' and 'sha256'"],
    "[[server.tokens]]\nname = 'x'\nsha256 = 'abc'": ["server.tokens[0].sha256"],
    "[electricity_maps]\nbase_url = 'ftp://x'": ["electricity_maps.base_url", "https://"],
    "[intensity]\nkind = 'green'": ["intensity.kind", "'green' is not a kind", "lifecycle/average/flow-traced"],
    "[intensity]\nkind = 'lifecycle/average/traced'": ["intensity.kind", "flow-traced or production"],
    "[planner]\nmaximum_delay_hours = 100\nhorizon_hours = 50": ["planner", "maximum_delay_hours", "raise the horizon"],
    "[replay]\nrate = 60": ["replay", "grid_start"],
    REPLAY + "[electricity_maps]\ntoken = 'x'": [
        "replay",
        "https://api.electricitymaps.com/v4",
        "only knows real time",
        "`lowtide replay FILES`",
    ],
    REPLAY + "[electricity_maps]\ntokens = { SE = 'x' }\nbase_url = 'https://API.electricitymap.org/v3'": ["replay", "remove the token"],
    REPLAY + "[intensity]\nkind = 'direct/average/production'\n[gb_national]\nenabled = true": ["replay", "leave gb_national off"],
    "[replay]\ngrid_start = 2023-01-01T00:00:00": ["replay.grid_start", "time zone"],
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.items(), ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_a_mistake_in_the_file_is_one_sentence_with_place_and_remedy(write: Path, text: str, words: list[str]) -> None:
    write.write_text(text)
    with pytest.raises(SettingsProblem) as caught:
        load_settings()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("lowtide.toml: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("provider", ["", "[electricity_maps]\ntoken = 'x'\nbase_url = 'http://127.0.0.1:8080/v4'"])
def test_a_replay_may_ask_a_replay_service_or_nobody(write: Path, provider: str) -> None:
    write.write_text(REPLAY + provider)
    assert load_settings().settings.replay.rate == 60


def test_a_wrong_secret_is_not_repeated_in_the_sentence(write: Path) -> None:
    write.write_text("[electricity_maps]\ntoken = 123454321\n")
    with pytest.raises(SettingsProblem) as caught:
        load_settings()
    assert "123454321" not in str(caught.value)
    assert "electricity_maps.token" in str(caught.value)


def test_an_unknown_variable_with_our_prefix_is_named(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_SREVER__PORT", "1")
    with pytest.raises(SettingsProblem, match="LOWTIDE_SREVER__PORT: there is no setting 'srever', did you mean 'server'"):
        load_settings()


def test_a_wrong_value_in_a_variable_names_the_variable(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_SERVER__PORT", "many")
    with pytest.raises(SettingsProblem, match=r"^LOWTIDE_SERVER__PORT: server\.port"):
        load_settings()


def test_the_variables_of_other_tools_are_no_settings(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOWTIDE_URL", "LOWTIDE_TOKEN", "LOWTIDE_TRACES", "LOWTIDE_REQUIRE_SERVICES"):
        monkeypatch.setenv(name, "x")
    assert load_settings().settings == Settings()


def test_a_broken_list_in_a_variable_says_how_lists_are_written(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_SITES", "[{")
    with pytest.raises(SettingsProblem, match="JSON"):
        load_settings()


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsProblem, match=r"nowhere\.toml: cannot be read"):
        load_settings(tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"a = '\xff'")
    with pytest.raises(SettingsProblem, match="UTF-8"):
        load_settings(binary)


def test_settings_made_in_code_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_SERVER__PORT", "1")
    assert Settings().server == ServerSettings()


def test_folders_are_absolute_whichever_way_they_are_written(write: Path) -> None:
    write.write_text(SITE + f"run_root = 'file://{write.parent}/my%20runs'\ndata_root = 'images'\n")
    site = load_settings().settings.sites[0]
    assert site.run_root_path == write.parent / "my runs"
    assert site.data_root_path == write.parent / "images"


@given(st.text(alphabet="abcdefghij", min_size=1, max_size=8))
def test_a_known_word_is_its_own_closest_match(word: str) -> None:
    assert close_match(word, [word, "zzzzzzzz"]) == f", did you mean {word!r}?"
