"""The `likeness` command (the same as `python -m app`)."""

from __future__ import annotations

import typer
import uvicorn

from app.cli import gallery
from app.cli.doctor import doctor
from app.cli.enroll import enroll
from app.cli.output import fail, read_settings
from app.cli.photos import detect, identify, verify
from app.domain.errors import StartError
from app.main import create_app
from app.wiring import open_models, open_records

DRAIN_SECONDS = 10

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Are these two photos of one person? Who of the enrolled people is this?",
)
for command in (verify, identify, enroll, detect, doctor):
    app.command()(command)
app.add_typer(gallery.commands, name="gallery")


@app.command()
def serve() -> None:
    """Serve HTTP. Options are environment variables LIKENESS_*, or a file .env (see docs/OPERATIONS.md)."""
    try:
        settings = read_settings()
        open_models(settings)  # here, so that what is wrong is told in a sentence and not as the server's traceback
        open_records(settings).close()
    except StartError as error:
        fail(str(error))
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )


def main() -> None:
    app()
