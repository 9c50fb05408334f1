"""Likeness: face verification and identification over HTTP."""

__version__ = "0.1.0"
