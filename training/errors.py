"""What can go wrong in training, told to the person at the terminal (exit status 2)."""

from __future__ import annotations


class TrainingError(Exception):
    """The data, the configuration or the installation is at fault; the message says what was wanted and what came."""
