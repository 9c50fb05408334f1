"""Acceptance tests: the contract (docs/api.md) asked of a real server process and of the real command."""
