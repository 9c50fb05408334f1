"""From settings to running services: open models, storage and services, and close them again."""
