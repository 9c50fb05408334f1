"""The errors that a command reports in one line (exit status 2)."""

from __future__ import annotations


class TrainingError(Exception):
    """The data, the config or the installation cannot be used; the message says what was expected and what came."""
