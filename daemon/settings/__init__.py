"""The settings: what can be configured (`schema`) and where each value came from (`loading`)."""

from daemon.settings.loading import DEFAULT_FILE, LoadedSettings, SettingsProblem, load_settings
from daemon.settings.schema import WORLD_ZONE, Settings, SiteSettings, TokenSettings

__all__ = ["DEFAULT_FILE", "WORLD_ZONE", "LoadedSettings", "Settings", "SettingsProblem", "SiteSettings", "TokenSettings", "load_settings"]
