"""The terminal to which the main process of a run reports."""

from rich.console import Console

console = Console(stderr=True)
