"""Acceptance tests: the contract (API.md) asked of a real server process and of the real command."""
