"""Multiply-adds against sums that can be done by hand."""

import torch
from torch import nn

from training.networks import cost


def test_a_convolution_costs_its_window_and_its_bias_at_every_place() -> None:
    (row,) = cost.table(nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2)), 10, 6)
    assert row.output == (8, 5, 3)
    assert row.parameters == 8 * (5 * 5 * 3 + 1)
    assert row.multiply_adds == 5 * 3 * 8 * (5 * 5 * 3 + 1)


def test_a_linear_layer_costs_its_weights_and_one_without_a_bias_no_more() -> None:
    rows = cost.table(nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Linear(7, 4, bias=False)), 2)
    assert [row.multiply_adds for row in rows] == [0, 7 * (12 + 1), 4 * 7]
    assert cost.total(rows) == (7 * 13 + 28, 7 * 13 + 28)


def test_a_depthwise_convolution_costs_one_window_per_channel() -> None:
    (row,) = cost.table(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)), 4)
    assert row.multiply_adds == 4 * 4 * 3 * 9


def test_a_layer_used_twice_costs_twice_with_its_parameters_counted_once() -> None:
    shared = nn.Conv2d(3, 3, 1, bias=False)
    (row,) = cost.table(nn.Sequential(nn.Sequential(shared, shared)), 2)
    assert (row.parameters, row.multiply_adds) == (9, 2 * 4 * 9)


def test_counting_does_not_change_the_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()).train()
    before = {name: part.clone() for name, part in network.state_dict().items()}
    cost.table(network, 4)
    assert network.training
    assert all(torch.equal(part, before[name]) for name, part in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())
