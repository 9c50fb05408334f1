"""`python -m training import-pad`: make the served liveness model of minivision's MiniFASNet weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from app.inference.manifest import MANIFEST, LivenessManifest, ModelFile, digest_of
from training.errors import TrainingError
from training.export.torch_to_onnx import to_onnx
from training.networks.minifasnet import LIVE, MiniFASNet, mini_fas_net_v1_se, mini_fas_net_v2

SIDE = 80
NETWORKS = (
    (2.7, "2.7_80x80_MiniFASNetV2.pth", mini_fas_net_v2),
    (4.0, "4_0_0_80x80_MiniFASNetV1SE.pth", mini_fas_net_v1_se),
)
"""The scale of each network's crop, the file of its weights, and the network."""


class ServedLiveness(nn.Module):
    """
    Maps uint8 RGB crops (N, networks, 80, 80, 3) to the probability (N,) that the face is live.

    It is the mean over the networks, each of which sees its own crop: the source adds the probabilities up (`test.py`).
    """

    def __init__(self, networks: Sequence[MiniFASNet]) -> None:
        """`networks` take RGB: see `swap_red_and_blue`."""
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, crops: Tensor) -> Tensor:
        planes = crops.permute(0, 1, 4, 2, 3).float()  # (N, networks, 3, 80, 80)
        live = [network(planes[:, at]).softmax(1)[:, LIVE] for at, network in enumerate(self.networks)]
        return torch.stack(live).mean(0)


def run(output: Path, weights: Path) -> Path:
    """Write graph and manifest into `output`; `weights` is a folder of the two published files."""
    networks = [swap_red_and_blue(read_network(weights / name, made())) for _, name, made in NETWORKS]
    example = torch.zeros(2, len(NETWORKS), SIDE, SIDE, 3, dtype=torch.uint8)
    graph = to_onnx(ServedLiveness(networks).eval(), example, "crops", ["live"], {0: "batch"})
    output.mkdir(parents=True, exist_ok=True)
    (output / "liveness.onnx").write_bytes(graph)
    manifest = LivenessManifest(
        id=output.name,
        kind="liveness",
        license="Apache-2.0",
        provenance=_provenance(weights),
        file=ModelFile(path="liveness.onnx", digest=digest_of(graph)),
        crop_size=SIDE,
        scales=tuple(scale for scale, _, _ in NETWORKS),
    )
    path = output / MANIFEST
    path.write_text(manifest.model_dump_json(indent=2) + "\n")
    return path


def read_network(weights: Path, network: MiniFASNet) -> MiniFASNet:
    """Load a published state dict, which was saved by DataParallel. Raises TrainingError if it is missing."""
    if not weights.is_file():
        raise TrainingError(
            f"no {weights}: download it from resources/anti_spoof_models of minivision-ai/Silent-Face-Anti-Spoofing"
        )
    saved = torch.load(weights, map_location="cpu", weights_only=True)
    network.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})
    return network.eval()


def swap_red_and_blue(network: MiniFASNet) -> MiniFASNet:
    """Change the first convolution so that the network, which was trained on BGR, takes RGB."""
    weight = network.conv1.conv.weight
    weight.data = weight.data.flip(1)
    return network


def _provenance(weights: Path) -> dict[str, str]:
    digests = {name: digest_of((weights / name).read_bytes()) for _, name, _ in NETWORKS}
    return {
        "source": "minivision-ai/Silent-Face-Anti-Spoofing, resources/anti_spoof_models",
        **digests,
        "changes": "two networks in one graph that takes uint8 RGB and returns their mean probability of a live face; "
        "nothing was trained",
        "command": "python -m training import-pad",
    }
