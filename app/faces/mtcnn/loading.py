"""A model folder to a detector that is ready to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.faces.mtcnn.cascade import CascadeOptions, Mtcnn
from app.faces.mtcnn.nets import OutputNet, ProposalNet, RefineNet
from app.faces.mtcnn.pyramid import PIXEL
from app.inference.manifest import ModelFile, read_checked, read_detector
from app.inference.onnx_session import Provider, Session


def load_mtcnn(folder: Path, options: CascadeOptions, *, provider: Provider = "auto", threads: int = 1) -> Mtcnn:
    """Raises StartError where a file is not its manifest's, or the provider cannot be used."""
    manifest = read_detector(folder)

    def session(file: ModelFile) -> Session:
        return Session(read_checked(folder, file), provider=provider, threads=threads)

    rnet, onet = RefineNet(session(manifest.rnet)), OutputNet(session(manifest.onet))
    rnet(np.zeros((1, 24, 24, PIXEL), np.float32))  # a photo without a face would never warm these two
    onet(np.zeros((1, 48, 48, PIXEL), np.float32))
    return Mtcnn(ProposalNet(session(manifest.pnet)), rnet, onet, options)
