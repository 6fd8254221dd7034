"""Single weights that become zero: which, and that they stay so."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils import prune as reference

from compression.networks import parametrized, sparsity
from core.errors import TrainingError


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Conv2d(8, 4, 1))


def shipped(model: nn.Module) -> dict[str, Tensor]:
    return parametrized.shipped(model.state_dict())


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.94])
def test_the_weakest_of_all_layers_go_as_in_torch(ratio: float) -> None:
    """Golden: `torch.nn.utils.prune.global_unstructured`."""
    wanted, mine = network(), network()
    layers = [(layer, "weight") for layer in wanted if isinstance(layer, nn.Conv2d)]
    reference.global_unstructured(layers, reference.L1Unstructured, amount=ratio)
    zeros, total = sparsity.prune(mine, ratio, "weights", "magnitude", "none")
    assert zeros == round(ratio * total)
    found = shipped(mine)
    for place, layer in enumerate(wanted):
        if isinstance(layer, nn.Conv2d):
            assert torch.equal(found[f"{place}.weight"], layer.weight)


def test_scores_of_a_layer_are_those_of_the_formula() -> None:
    """Golden, by hand: of the squares 1, 9, 4 and 36 the sums of what is no smaller are 50, 45, 49 and 36."""
    found = sparsity.relative(torch.tensor([[1.0, 9.0], [4.0, 36.0]]))
    assert torch.allclose(found, torch.tensor([[1 / 50, 9 / 45], [4 / 49, 1.0]], dtype=torch.float64))
    equals = sparsity.relative(torch.tensor([4.0, 4.0, 4.0]))
    assert torch.allclose(equals, torch.tensor([1 / 3, 1 / 2, 1.0], dtype=torch.float64))
    assert torch.equal(sparsity.relative(torch.zeros(3)), torch.zeros(3, dtype=torch.float64))


def test_layers_of_small_weights_keep_theirs() -> None:
    """The scale of a layer changes nothing; compared as they are, its weights would all go first."""
    plain, small = network(), network()
    with torch.no_grad():
        small[3].weight.mul_(1e-3)  # type: ignore[operator, union-attr]
    zeros = [sparsity.prune(model, 0.5, "weights", "magnitude") for model in (plain, small)]
    assert zeros[0] == zeros[1]
    for place in (0, 3, 4):
        one, two = (shipped(model)[f"{place}.weight"] != 0 for model in (plain, small))
        assert torch.equal(one, two) and one.any()
    as_it_is = network()
    with torch.no_grad():
        as_it_is[3].weight.mul_(1e-3)  # type: ignore[operator, union-attr]
    sparsity.prune(as_it_is, 0.75, "weights", "magnitude", "none")
    assert not (shipped(as_it_is)["3.weight"] != 0).any()


@pytest.mark.parametrize(("pattern", "count", "group"), [("2:4", 2, 4), ("1:4", 1, 4), ("4:8", 4, 8)])
def test_of_each_group_of_neighbours_the_largest_stay(pattern: str, count: int, group: int) -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    sparsity.prune(model, 1 - count / group, pattern, "magnitude")
    found = shipped(model)
    for place in (3, 4):
        groups = found[f"{place}.weight"].movedim(1, -1).reshape(-1, group)
        origin = before[f"{place}.weight"].movedim(1, -1).reshape(-1, group)
        assert ((groups != 0).sum(1) == count).all()
        largest = origin.abs().sort(dim=1, descending=True).values[:, :count]
        assert torch.equal(groups.abs().sort(dim=1, descending=True).values[:, :count], largest)
    assert torch.equal(found["0.weight"], before["0.weight"])  # 3 inputs are no groups


def test_gradients_may_tell_which() -> None:
    model = network()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with torch.no_grad():
        model[3].weight.grad[0] = 1e9  # type: ignore[index]
    sparsity.prune(model, 0.9, "weights", "taylor")
    assert (shipped(model)["3.weight"][0] != 0).all()


def test_of_equals_no_more_go_than_are_asked() -> None:
    """Units that are dead have no gradient: all of their scores are zero."""
    model = network()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    zeros, total = sparsity.prune(model, 0.1, "weights", "taylor")
    assert zeros == round(0.1 * total) == sum(int((shipped(model)[f"{i}.weight"] == 0).sum()) for i in (0, 3, 4))


def test_zeros_stay_while_the_others_learn() -> None:
    """With momentum and decay, which would move a weight that is merely set to zero."""
    model = network()
    sparsity.prune(model, 0.5, "2:4", "magnitude")
    first = shipped(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 9, 9)).square().mean().backward()
        optimizer.step()
    last = shipped(model)
    assert torch.equal(last["3.weight"] == 0, first["3.weight"] == 0)
    assert not torch.allclose(last["3.weight"], first["3.weight"], atol=0.05)
    again = network()
    again.load_state_dict(last)  # strict: names of a plain network
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(again.eval()(x), model.eval()(x))


def test_a_copy_that_averages_has_the_same_zeros() -> None:
    model = network()
    sparsity.prune(model, 0.5, "weights", "magnitude")
    average = copy.deepcopy(model)
    assert parametrize.is_parametrized(average[3])
    assert torch.equal(shipped(average)["3.weight"], shipped(model)["3.weight"])


def test_a_pattern_that_fits_no_layer_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"2:4 fits no layer: none reads a multiple of 4"):
        sparsity.prune(nn.Sequential(nn.Linear(3, 5)), 0.5, "2:4", "magnitude")
