"""What every request passes through, as plain ASGI middleware; app/main.py puts them in order."""
