"""Open models, storage and services according to the settings, and close them again."""
