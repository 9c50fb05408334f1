import torch

from training.networks.layers import L2Pool, Maxout


def test_l2_pooling_is_the_root_of_the_mean_square_of_three_by_three_places() -> None:
    x = torch.randn(2, 3, 6, 5)
    pooled = L2Pool()(x)
    assert pooled.shape == x.shape
    torch.testing.assert_close(pooled[1, 2, 3, 2], x[1, 2, 2:5, 1:4].square().mean().sqrt())
    torch.testing.assert_close(pooled[0, 1, 0, 0], (x[0, 1, :2, :2].square().sum() / 9).sqrt())


def test_l2_pooling_of_nothing_has_a_gradient() -> None:
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    L2Pool()(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_maxout_gives_the_larger_of_two_linear_layers() -> None:
    layer = Maxout(4, 3)
    x = torch.randn(5, 4)
    weight, bias = layer.linear.weight, layer.linear.bias
    first, second = x @ weight[::2].T + bias[::2], x @ weight[1::2].T + bias[1::2]
    torch.testing.assert_close(layer(x), torch.maximum(first, second))
    assert layer(x).shape == (5, 3)
