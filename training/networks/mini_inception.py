"""
NNS1 and NNS2 of FaceNet (Schroff et al. 2015, section 3.3): Inception networks for phones.

The paper gives only their input and their totals; both totals are met to 3 %. Our choices: the modules of NN2 narrowed
evenly, without the 5 x 5 convolutions (the paper: they "can be removed throughout with only a minor drop"), and, since
the parameters are far more than such modules have, NN1's maxout layer in place of the average pooling.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.inception import NN2_ROWS, Inception, Row, without_five
from training.networks.layers import Maxout, he_init


class MiniInception(Inception):
    """`share` of NN2's channels in multiples of `step`; `positions` are height x width of the last feature map."""

    def __init__(
        self, embedding_size: int, share: float, step: int, stem: tuple[int, int, int], positions: int, hidden: int
    ) -> None:
        super().__init__(embedding_size, [narrowed(without_five(row), share, step) for row in NN2_ROWS], stem)
        self.fc = Maxout(self.channels * positions, hidden)
        self.linear = nn.Linear(hidden, embedding_size)
        he_init(self)

    def forward(self, pixels: Tensor) -> Tensor:
        y: Tensor = self.linear(self.fc(self.features(pixels).flatten(1)))  # (N, D)
        return y


class NNS1(MiniInception):
    """26.4 M parameters (paper: 26 M), 216 M multiply-adds (220 M) at 165 px."""

    crop_size = 165

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size, share=1 / 2, step=8, stem=(24, 24, 72), positions=6 * 6, hidden=768)


class NNS2(MiniInception):
    """
    4.2 M parameters (paper: 4.3 M), 19.7 M multiply-adds (20 M) at 140 x 116 px.

    Crops are square: of their 140 columns the middle 116 are used, since a face is higher than wide.
    """

    crop_size = 140
    columns = slice(12, 128)

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size, share=1 / 6, step=4, stem=(8, 8, 24), positions=5 * 4, hidden=672)

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels[..., self.columns])  # (N, 3, 140, 116)


def narrowed(row: Row, share: float, step: int) -> Row:
    widths = {name: getattr(row, name) for name in ("one", "three_reduce", "three", "five_reduce", "five", "project")}
    return row._replace(
        **{name: width and max(step, round(width * share / step) * step) for name, width in widths.items()}
    )
