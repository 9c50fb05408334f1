"""The option `--liveness` of the commands that read photos."""

from __future__ import annotations

from typing import Annotated

import typer

from app.api.responses import Judged
from app.faces.liveness import LivenessMode
from app.settings import Settings

LivenessOption = Annotated[
    LivenessMode,
    typer.Option(help="Report whether faces look live, or refuse photos whose face does not. Advisory."),
]


def with_liveness(settings: Settings, mode: LivenessMode) -> Settings:
    """Return settings that load the liveness model if `mode` needs it: an option wins over a setting."""
    return settings if mode == "off" else settings.model_copy(update={"liveness": "on"})


def field_of(mode: LivenessMode) -> LivenessMode | None:
    """Return the field for a remote service; None for `off`, which a service that is older than the field needs."""
    return None if mode == "off" else mode


def liveness_line(name: str, face: Judged) -> str:
    """Return a line about the face, with the line break before it; empty if its liveness was not asked for."""
    if face.liveness is None:
        return ""
    verdict = "looks live" if face.liveness.live else "does not look live"
    return f"\n{name}: {verdict} (score {face.liveness.score:.2f})"
