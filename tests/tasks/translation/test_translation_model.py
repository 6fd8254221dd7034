"""Both architectures: loss, cache, padding, learning, pruning, distillation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import translation_tiny as tiny
from torch.nn import functional as F

from core.errors import ModelError, TrainingError
from modalities.text.backbones.dropout import Dropout
from modalities.text.inputs.tokenizer import BOS, EOS, PAD
from tasks.translation import model
from tasks.translation.model.losses import consistent, hard_targets
from training import gradients, optimizer, watch

KINDS: dict[str, dict[str, Any]] = {
    "transformer": {},
    "ssru": {"decoder": "ssru", "head_width": 6, "decoder_layers": 1},
    "gru-attention": {"arch": "recurrent"},
    "gru": {"arch": "recurrent", "attention": "none"},
    "lstm": {"arch": "recurrent", "cell": "lstm", "attention": "additive", "bidirectional": False},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.dataset(tmp_path_factory.mktemp("translation") / "data")


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, folder: Path) -> tuple[Any, dict[str, Any], Any, Any]:
    params = tiny.settings(model=KINDS[request.param])
    return *tiny.trained(folder, params), params


def test_loss_is_torchs_cross_entropy_with_its_gradient() -> None:
    logits = torch.randn(7, 11, dtype=torch.float64).float().requires_grad_()
    gold = torch.randint(0, 11, (7,))
    ours = hard_targets(logits, gold, 0.1)
    (gradient,) = torch.autograd.grad(ours["loss"], logits)
    theirs = F.cross_entropy(logits, gold, label_smoothing=0.1)
    torch.testing.assert_close(ours["loss"], theirs)
    torch.testing.assert_close(ours["nll"], F.cross_entropy(logits, gold))
    torch.testing.assert_close(gradient, torch.autograd.grad(theirs, logits)[0])


class Says(torch.nn.Module):
    """Gives the next of its logits at each pass, whatever it is asked."""

    def __init__(self, *passes: torch.Tensor):
        super().__init__()
        self.passes = list(passes)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.passes.pop(0)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


def test_two_passes_that_must_agree_by_the_definition() -> None:
    """R-Drop's equation 4 with `torch`'s own functions, halved; with its gradient."""
    torch.manual_seed(0)
    one, two = (torch.randn(1, 4, 11, requires_grad=True) for _ in range(2))
    batch = {"source": torch.zeros(1, 3, dtype=torch.int64), "target": torch.tensor([[BOS, 7, 9, 5, EOS]])}
    found = consistent(Says(one, two), batch, 0.1, 5.0)
    gold = batch["target"][0, 1:]
    first, second = one[0].log_softmax(-1), two[0].log_softmax(-1)
    losses = sum(F.cross_entropy(logits[0], gold, label_smoothing=0.1) for logits in (one, two))
    ways = ((first, second), (second, first))
    either = sum((mine.exp() * (mine - other)).sum(-1).mean() for mine, other in ways)
    wanted = (losses + 5.0 * either / 2) / 2
    torch.testing.assert_close(found["loss"], wanted)
    torch.testing.assert_close(found["apart"], (either / 2).detach())
    gradients = (torch.autograd.grad(loss, (one, two)) for loss in (found["loss"], wanted))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_passes_must_agree_in_training_alone(made: tuple[Any, ...]) -> None:
    net, _, _, params = made
    batch = {"source": torch.tensor([[5, 6, 7, EOS]]), "target": torch.tensor([[BOS, 10, 11, EOS]])}
    wished = params.model_copy(update={"model": params.model.model_copy(update={"r_drop": 5.0})})
    assert "apart" not in model.loss(net.eval(), batch, wished)
    assert "apart" in model.loss(net.train(), batch, wished)
    assert "apart" not in model.loss(net.train(), batch, params)
    net.eval()


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.25)
    out = dropout(torch.ones(400, 501))
    assert abs((out == 0).float().mean().item() - 0.25) < 0.01
    assert abs(out.mean().item() - 1) < 0.01
    assert torch.equal(dropout.eval()(out), out)


def test_steps_through_the_cache_equal_teacher_forcing(made: tuple[Any, ...]) -> None:
    net = made[0].eval()
    source, target = torch.tensor([[5, 6, 7, EOS], [8, 9, EOS, PAD]]), torch.tensor([[BOS, 10, 11], [BOS, 12, 13]])
    with torch.no_grad():
        whole = net(source, target)
        memory, cache = net.encode(source)
        for t in range(3):
            hidden, attention, cache = net.decode(target[:, t : t + 1], memory, cache)
            torch.testing.assert_close(hidden[:, 0], whole[:, t], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 1))
    assert attention[1, 0, 3] == 0  # padding is never looked at


@pytest.mark.parametrize("kind", [kind for kind, own in KINDS.items() if own.get("arch") == "recurrent"])
def test_what_is_not_forced_reads_what_it_said(folder: Path, kind: str) -> None:
    """In training alone; the loss is that of the network's own words as input, against what the data says."""
    net, _, _ = tiny.trained(folder, params := tiny.settings(model=KINDS[kind]))
    batch = {"source": torch.tensor([[5, 6, 7, EOS]]), "target": torch.tensor([[BOS, 10, 11, 12, EOS]])}
    free = params.model_copy(update={"model": params.model.model_copy(update={"teacher_forcing": 0.0})})
    said = [BOS]
    for _ in range(3):
        hidden, _, _ = net.decode(torch.tensor([said]), *net.encode(batch["source"]))
        said.append(int(net.project(hidden[0, -1]).argmax()))
    assert said[1:] != [10, 11, 12]
    hidden, _, _ = net.decode(torch.tensor([said]), *net.encode(batch["source"]))
    wanted = F.cross_entropy(net.project(hidden[0]), batch["target"][0, 1:])
    torch.testing.assert_close(model.loss(net.train(), batch, free)["nll"], wanted)
    assert not torch.isclose(model.loss(net, batch, params)["nll"], wanted)
    assert torch.equal(model.loss(net.eval(), batch, free)["nll"], model.loss(net, batch, params)["nll"])


def test_padding_of_a_neighbour_changes_nothing(made: tuple[Any, ...]) -> None:
    net = made[0].eval()
    target = torch.tensor([[BOS, 10, 11]])
    with torch.no_grad():
        alone = net(torch.tensor([[8, 9, EOS]]), target)
        padded = net(torch.tensor([[8, 9, EOS, PAD, PAD]]), target)
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-4)


def test_an_architecture_of_an_earlier_version_is_told() -> None:
    with pytest.raises(ModelError, match=r"has arch 'gru', expected one of transformer, recurrent: .*train it again"):
        model.build({"arch": "gru", "width": 8})


def test_the_architecture_rebuilds_the_same_shapes(made: tuple[Any, ...]) -> None:
    net, arch, _, _ = made
    model.build(arch).load_state_dict(net.state_dict())


def test_heads_need_not_divide_the_width_and_decoders_may_be_shallow(folder: Path) -> None:
    """The lecture notes: a width of 128 and 6 heads of 32."""
    sizes = {"width": 128, "heads": 6, "head_width": 32, "layers": 3, "decoder_layers": 1}
    net, arch, _ = tiny.trained(folder, params := tiny.settings(model=sizes))
    assert (len(net.encoder), len(net.decoder)) == (3, 1)
    assert net.encoder[0].attention.projection.weight.shape == (3 * 192, 128)
    assert net.decoder[0].cross.output.weight.shape == (128, 192)
    own = {"width": 64, "heads": 3, "head_width": 16, "layers": 2, "decoder_layers": None}
    student = model.student(arch, params.distill["distilled"].model_copy(update=own))
    assert (student["head_width"], len(student["decoder"])) == (16, 2)


def test_it_learns_the_grammar(folder: Path) -> None:
    """Greedy BLEU of unseen sentences; 1.5 s of training."""
    net, _, loaders = tiny.trained(folder, params := tiny.settings(), epochs=12)
    watched = watch.watched("translation", folder, params, params.train, loaders.assets)
    metric = watched.new()
    for batch in loaders.val:
        metric.update(net.eval(), batch)
    assert metric.compute()[watched.name] > 60


def test_every_matrix_decays_and_no_bias(made: tuple[Any, ...]) -> None:
    net, _, _, params = made
    matrices, rest = model.parameter_groups(net, params.train)
    assert {p.ndim for p in rest["params"]} == {1} and rest["weight_decay"] == 0
    assert len(matrices["params"]) + len(rest["params"]) == len(list(net.parameters()))


def test_adams_constants_are_those_of_the_paper(made: tuple[Any, ...]) -> None:
    """Vaswani et al. 2017, section 5.3; in every group, whatever torch's own are."""
    net, _, _, params = made
    groups = optimizer.build(
        model.parameter_groups(net, params.train), params.train.optimizer, fused=False
    ).param_groups
    assert len(groups) == 2
    assert all((group["betas"], group["eps"], group["lr"]) == ((0.9, 0.98), 1e-9, params.train.lr) for group in groups)


@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
def test_pruning_shrinks_every_layer_and_can_be_rebuilt(made: tuple[Any, ...], importance: str) -> None:
    net, arch, loaders, params = made
    copy = model.build(arch)
    copy.load_state_dict(net.state_dict())
    if importance == "taylor":
        gradients.accumulate(copy, loaders.train, lambda network, batch: model.loss(network, batch, params), 2)
    pruned = model.prune(copy, arch, SimpleNamespace(ratio=0.5, importance=importance, dropout=None))
    again = model.build(pruned)
    again.load_state_dict(copy.state_dict())
    count = [sum(p.numel() for p in m.parameters()) for m in (net, again)]
    assert count[1] < (0.8 if arch["arch"] == "transformer" else 0.95) * count[0]
    batch = next(iter(loaders.train))
    assert torch.isfinite(model.loss(again, batch, params)["loss"])
    if arch["arch"] == "transformer":
        assert pruned["encoder"][0] == {"heads": 2, "feed_forward": 32}
        own = {} if "heads" not in arch["decoder"][0] else {"heads": 2}
        assert pruned["decoder"][-1] == {**own, "cross_heads": 2, "feed_forward": 32}
        assert arch["encoder"][0]["heads"] == 4  # the base model's description is not touched


def test_pruning_removes_what_does_nothing(folder: Path) -> None:
    """A head and units with zero weights are the first to go, so the outputs stay."""
    net, arch, loaders = tiny.trained(folder, tiny.settings())
    net.eval()
    with torch.no_grad():
        for layer in [*net.encoder, *net.decoder]:
            for attention in (layer.attention, *([layer.cross] if hasattr(layer, "cross") else [])):
                attention.output.weight[:, 8:16] = 0
                for name in ("projection", "query", "key_value"):
                    if hasattr(attention, name):
                        getattr(attention, name).weight.view(-1, 4, 8, 32)[:, 1] = 0
            layer.feed_forward.contract.weight[:, ::4] = 0
            layer.feed_forward.expand.weight[::4] = 0
        batch = next(iter(loaders.train))
        before = net(batch["source"], batch["target"])
        model.prune(net, arch, SimpleNamespace(ratio=0.25, importance="magnitude", dropout=None))
        torch.testing.assert_close(net(batch["source"], batch["target"]), before, atol=1e-5, rtol=1e-4)


def test_a_smaller_network_may_drop_less_out(folder: Path) -> None:
    net, arch, params = *tiny.trained(folder, tiny.settings(model={"dropout": 0.3}))[:2], tiny.settings()
    pruned = model.prune(net, arch, SimpleNamespace(ratio=0.5, importance="magnitude", dropout=0.1))
    rates = {layer.rate for layer in net.modules() if isinstance(layer, Dropout)}
    assert arch["dropout"] == 0.3 and pruned["dropout"] == 0.1 and rates == {0.1}
    settings = params.distill["distilled"].model_copy(update={"dropout": 0.05})
    assert model.student(arch, settings)["dropout"] == 0.05
    assert model.student(arch, settings.model_copy(update={"dropout": None}))["dropout"] == 0.3


def test_a_layer_pruned_away_is_an_error(folder: Path) -> None:
    """docs/faults.md 75."""
    net, arch, _ = tiny.trained(folder, tiny.settings())
    with pytest.raises(TrainingError, match=r"leaves nothing of layer encoder layer 0 self-attention \(4 heads\)"):
        model.prune(net, arch, SimpleNamespace(ratio=0.9, importance="magnitude", dropout=None))


def test_a_student_is_smaller_and_follows_its_teacher(made: tuple[Any, ...]) -> None:
    teacher, arch, loaders, params = made
    sizes = SimpleNamespace(
        embedding=8,
        width=16,
        feed_forward=32,
        heads=2,
        head_width=None,
        layers=1,
        decoder_layers=None,
        dropout=None,
        temperature=2.0,
        soft_weight=0.7,
    )
    student = model.build(model.student(arch, sizes))
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in teacher.parameters())
    batch = next(iter(loaders.train))
    model.soft_targets(student, teacher.eval(), batch, sizes, params)["loss"].backward()
    assert student.target_embedding.weight.shape == (arch["vocabulary"], 8)
    assert student.target_embedding.weight.grad is not None and student.target_embedding.expand.weight.grad is not None
    assert all(p.grad is None for p in teacher.parameters())


def test_a_student_equal_to_its_teacher_has_no_soft_loss(made: tuple[Any, ...]) -> None:
    teacher, _, loaders, params = made
    settings = SimpleNamespace(temperature=2.0, soft_weight=1.0)
    parts = model.soft_targets(teacher.eval(), teacher, next(iter(loaders.train)), settings, params)
    assert abs(parts["soft"].item()) < 1e-5


def test_a_teacher_with_another_tokenizer_is_refused(made: tuple[Any, ...]) -> None:
    """docs/faults.md 76."""
    teacher, arch, loaders, params = made
    settings = SimpleNamespace(temperature=2.0, soft_weight=0.5)
    for key, value in (("tokenizer", "0" * 64), ("vocabulary", 101)):
        student = model.build({**arch, key: value})
        with pytest.raises(TrainingError, match=key):
            model.soft_targets(student, teacher, next(iter(loaders.train)), settings, params)
