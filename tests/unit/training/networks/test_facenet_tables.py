"""FaceNet's own networks against its paper: tables 1 and 2 row by row, and the totals of section 3.3."""

import pytest
import torch

from training.networks import cost
from training.networks.cost import Cost
from training.networks.embedder import Embedder
from training.networks.registry import build

TABLE_1 = """
    conv1  64x110x110     9K   115M
    pool1  64x55x55        0      0
    rnorm1 64x55x55        0      0
    conv2a 64x55x55       4K    13M
    conv2  192x55x55    111K   335M
    rnorm2 192x55x55       0      0
    pool2  192x28x28       0      0
    conv3a 192x28x28     37K    29M
    conv3  384x28x28    664K   521M
    pool3  384x14x14       0      0
    conv4a 384x14x14    148K    29M
    conv4  256x14x14    885K   173M
    conv5a 256x14x14     66K    13M
    conv5  256x14x14    590K   116M
    conv6a 256x14x14     66K    13M
    conv6  256x14x14    590K   116M
    pool4  256x7x7         0      0
    fc1    4096         103M   103M
    fc2    4096          34M    34M
    fc7128 128          524K   0.5M
"""
TABLE_2 = """
    conv1       64x112x112     9K   119M
    pool1       64x56x56        0      0
    norm1       64x56x56        0      0
    inception2  192x56x56    115K   360M
    norm2       192x56x56       0      0
    pool2       192x28x28       0      0
    inception3a 256x28x28    164K   128M
    inception3b 320x28x28    228K   179M
    inception3c 640x14x14    398K   108M
    inception4a 640x14x14    545K   107M
    inception4b 640x14x14    595K   117M
    inception4c 640x14x14    654K   128M
    inception4d 640x14x14    722K   142M
    inception4e 1024x7x7     717K    56M
    inception5a 1024x7x7     1.6M    78M
    inception5b 1024x7x7     1.6M    78M
    linear      128          131K   0.1M
"""
TOTALS = {  # parameters and multiply-adds; None where the paper gives none
    "nn1": (140e6, 1.6e9),
    "nn2": (7.5e6, 1.6e9),
    "nn4": (None, 285e6),
    "nns1": (26e6, 220e6),
    "nns2": (4.3e6, 20e6),
}


def rows_of(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def counted(name: str, size: int | None = None) -> list[Cost]:
    with torch.device("meta"):
        network = build(name)
        return cost.table(network, size or network.crop_size)


def number(text: str) -> float:
    return float(text.rstrip("KM")) * {"K": 1e3, "M": 1e6}.get(text[-1], 1)


def unit(text: str) -> float:
    """Return one unit of the last printed digit."""
    return {"K": 1e3, "M": 1e6}.get(text[-1], 1) / 10.0 ** len(text.rstrip("KM").partition(".")[2])


@pytest.mark.parametrize(("name", "table"), [("nn1", TABLE_1), ("nn2", TABLE_2)])
def test_every_row_has_the_size_and_the_cost_that_the_paper_prints(name: str, table: str) -> None:
    rows, printed = counted(name), rows_of(table)
    assert [[row.name, "x".join(map(str, row.output))] for row in rows] == [line[:2] for line in printed]
    for row, (_, _, parameters, multiply_adds) in zip(rows, printed, strict=True):
        assert abs(row.parameters - number(parameters)) < unit(parameters), row
        assert abs(row.multiply_adds - number(multiply_adds)) < unit(multiply_adds), row


@pytest.mark.parametrize("name", TOTALS)
def test_the_totals_are_the_papers_to_three_hundredths(name: str) -> None:
    parameters, multiply_adds = cost.total(counted(name))
    expected = TOTALS[name]
    assert expected[0] is None or parameters == pytest.approx(expected[0], rel=0.03)
    assert multiply_adds == pytest.approx(expected[1], rel=0.03)


def test_nn4_without_these_5_x_5_convolutions_meets_its_total_to_a_million() -> None:
    assert round(cost.total(counted("nn4"))[1] / 1e6) == 285


def test_nn3_is_nn2_at_160_px() -> None:
    smaller, larger = counted("nn3"), counted("nn2", 160)
    assert smaller == larger
    assert build("nn3").crop_size == 160


def test_nns2_uses_140_x_116_px() -> None:
    network = build("nns2", 16).eval()
    pixels = torch.randn(1, 3, 140, 140)
    blank = pixels.clone()
    blank[..., :12], blank[..., 128:] = 9, -9
    first, *_ = counted("nns2")
    assert first.output == (8, 70, 58)
    assert torch.equal(network(pixels), network(blank))


@pytest.mark.parametrize("name", ["nn3", "nn4", "nns1", "nns2"])
def test_untrained_networks_distinguish_two_images(name: str) -> None:
    torch.manual_seed(1)
    embedder = Embedder(build(name, 32)).eval()
    size = embedder.network.crop_size
    crops = torch.stack(
        [torch.full((size, size, 3), 200), torch.arange(size * 3).view(1, size, 3).expand(size, -1, -1)]
    )
    with torch.inference_mode():
        one, other = embedder((crops % 256).to(torch.uint8))
    assert (one - other).square().sum() > 0.01
