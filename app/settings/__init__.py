"""The settings with their meaning and bounds: environment variables `LIKENESS_*`, or a file `.env`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from app.settings.decisions import DecisionSettings
from app.settings.galleries import GallerySettings
from app.settings.limits import LimitSettings
from app.settings.models import ModelSettings
from app.settings.network import NetworkSettings
from app.settings.processes import ProcessSettings

CHOICES_FILE = Path(".env.local")
"""Beside `.env`, over which it wins: what commands write, so that the person's own file stays as it is."""


class Settings(
    NetworkSettings, GallerySettings, ModelSettings, DecisionSettings, LimitSettings, ProcessSettings, BaseSettings
):
    model_config = SettingsConfigDict(
        env_prefix="LIKENESS_", env_file=(".env", CHOICES_FILE), env_ignore_empty=True, extra="ignore", frozen=True
    )


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """
    Return a message for each unknown LIKENESS_* variable in `environment` or in the file `.env`.

    A misspelt limit must not silently have no effect.
    """
    known = {f"LIKENESS_{name.upper()}" for name in Settings.model_fields}
    given = {name.upper() for name in (*environment, *DotEnvSettingsSource(Settings).env_vars)}
    unknown = [name for name in sorted(given - known) if name.startswith("LIKENESS_")]
    return [f"{name} is not a setting{_nearest(name, known)}" for name in unknown]


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
