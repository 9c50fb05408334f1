"""Print the service's OpenAPI description, of which the types of the page's scripts are made."""

import json
import sys

from app.main import create_app
from app.settings import Settings

if __name__ == "__main__":
    json.dump(create_app(Settings(_env_file=None)).openapi(), sys.stdout)
