"""The settings: what can be configured (`schema`, from a module for each group of sections) and where each value came from (`loading`)."""

from daemon.settings.loading import DEFAULT_FILE, LoadedSettings, SettingsProblem, load_settings
from daemon.settings.schema import Settings
from daemon.settings.server import TokenSettings
from daemon.settings.sites import SiteSettings
from daemon.settings.values import WORLD_ZONE

__all__ = ["DEFAULT_FILE", "WORLD_ZONE", "LoadedSettings", "Settings", "SettingsProblem", "SiteSettings", "TokenSettings", "load_settings"]
