"""Build the site of the documents: `python -m tests.support.docs_site FOLDER`. Broken links and anchors are errors."""

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "docs" / "site.toml"
PAGES = ("*.md", "docs/**/*.md", "models/*/MODEL_CARD.md", "docker/kubernetes/README.md")
LINKED = ("NOTICE", "LICENSE", "docs/images/*", "docs/examples/**/*", "tests/e2e/clients/**/*")


def build(folder: Path) -> Path:
    """Replace what is in `folder`, and return the folder of the site. Raises CalledProcessError."""
    shutil.rmtree(folder, ignore_errors=True)
    for pattern in (*PAGES, *LINKED):
        for file in REPOSITORY.glob(pattern):
            if file.is_file() and "__pycache__" not in file.parts:
                copy = folder / "pages" / file.relative_to(REPOSITORY)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
    shutil.copyfile(CONFIG, folder / "zensical.toml")
    subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=folder, check=True)
    return folder / "site"


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
