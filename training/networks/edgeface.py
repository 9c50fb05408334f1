"""
EdgeFace (George et al. 2023, arXiv:2307.01838): EdgeNeXt whose linear layers have a low rank, with the parameter names
of otroshi/edgeface.

EdgeNeXt itself is timm's, an extra.
"""

from torch import Tensor, nn

from training.networks.embedder import FaceNetwork
from training.networks.timm_backbone import create


class LowRankLinear(nn.Module):
    """Two linear layers instead of one, through `rank` numbers (LoRaLin, the paper's section III.B)."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(layer.in_features, rank, bias=False)
        self.linear2 = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear2(self.linear1(x))
        return y


class EdgeFace(FaceNetwork):
    """`backbone` is timm's name; the ranks are `rank_share` (gamma) of the smaller side, and 0 keeps whole layers."""

    crop_size = 112
    std = (127.5, 127.5, 127.5)
    backbone: str
    rank_share: float = 0

    def __init__(self, embedding_size: int = 512) -> None:
        super().__init__(embedding_size)
        self.model = create(self.backbone, embedding_size)
        if self.rank_share:
            _lower_ranks(self.model, self.rank_share)

    def forward(self, pixels: Tensor) -> Tensor:
        y: Tensor = self.model(pixels)  # (N, D)
        return y


class EdgeFaceXXS(EdgeFace):
    """1.24 M parameters, 47 M multiply-adds."""

    backbone = "edgenext_xx_small"


class EdgeFaceXS(EdgeFace):
    """1.77 M parameters, 77 M multiply-adds."""

    backbone = "edgenext_x_small"
    rank_share = 0.6


def _lower_ranks(module: nn.Module, share: float) -> None:
    """Replace all linear layers, that of the head too, as the authors' code does."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            rank = max(2, int(share * min(child.in_features, child.out_features)))
            setattr(module, name, LowRankLinear(child, rank))
        else:
            _lower_ranks(child, share)
