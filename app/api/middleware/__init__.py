"""ASGI middleware that every request passes through; app/main.py defines the order."""
