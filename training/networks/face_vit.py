"""
ViT-tiny for faces, with the parameter names of insightface's arcface_torch (`vit_t`; Dosovitskiy et al. 2021,
arXiv:2010.11929).

The vectors of all 12 x 12 patches go into the last layers, instead of one class token's. Nothing is masked or dropped
in training, as in arcface_torch's `mask0` variants: its token for masked patches is skipped in files that have one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.embedder import FaceNetwork

WIDTH, DEPTH, HEADS, PATCH = 256, 12, 8, 9
_DEVIATION = 0.02  # of the initial weights


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).view(-1, x.shape[1], 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)  # (3, N, H, P, W / H)
        each = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])  # (N, H, P, W / H)
        y: Tensor = self.proj(each.transpose(1, 2).flatten(2))  # (N, P, W)
        return y


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(functional.relu6(self.fc1(x)))
        return y


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.mlp = nn.LayerNorm(WIDTH), Perceptron()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class Patches(nn.Module):
    """A vector of each patch of 9 x 9 pixels; the last 4 rows and columns of 112 are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.proj(pixels).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class ViTTiny(FaceNetwork):
    """19.1 M parameters, 1.5 G multiply-adds; half of the parameters are the first of the last layers."""

    crop_size = 112
    std = (127.5, 127.5, 127.5)
    ignored_prefixes = ("mask_token",)

    def __init__(self, embedding_size: int = 512) -> None:
        super().__init__(embedding_size)
        patches = (self.crop_size // PATCH) ** 2
        self.patch_embed = Patches()
        self.pos_embed = nn.Parameter(torch.zeros(1, patches, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH)
        self.feature = nn.Sequential(
            nn.Linear(patches * WIDTH, WIDTH, bias=False),
            nn.BatchNorm1d(WIDTH, eps=2e-5),
            nn.Linear(WIDTH, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size, eps=2e-5),
        )
        _initialise(self)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.patch_embed(pixels) + self.pos_embed))  # (N, 144, W)
        y: Tensor = self.feature(x.flatten(1))  # (N, D)
        return y


def _initialise(network: ViTTiny) -> None:
    nn.init.trunc_normal_(network.pos_embed, std=_DEVIATION)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
