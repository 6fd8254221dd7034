"""What a student takes over from its teacher."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compression.networks import inheritance
from modalities.images import backbones
from modalities.text.backbones.recurrent import Recurrent
from modalities.text.backbones.transformer import Transformer

HALF = {"heads": 2, "cross_heads": 2, "feed_forward": 32}
TRANSFORMER: dict[str, Any] = {
    "arch": "transformer",
    "vocabulary": 50,
    "dropout": 0.1,
    "max_tokens": 20,
    "width": 16,
    "head_width": 8,
    "encoder": [HALF] * 4,
    "decoder": [HALF] * 4,
}


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ("abc", "abc", {0: 0, 1: 1, 2: 2}),
        ("xyz", "abc", {0: 0, 1: 1, 2: 2}),  # of one length: what fits within each is for `origins` to see
        ("aa", "aaaa", {0: 0, 1: 2}),  # one layer of two
        ("aaa", "aaaa", {0: 0, 1: 1, 2: 2}),
        ("a", "aaa", {0: 0}),
        ("abbc", "abbbbc", {0: 0, 1: 1, 2: 3, 3: 5}),
        ("abc", "abxxc", {0: 0, 1: 1, 2: 4}),
        ("ayc", "abbc", {0: 0, 2: 3}),  # nothing of the teacher is like y
        ("aab", "ab", {0: 0, 2: 1}),
        ("aba", "ab", {0: 0, 1: 1}),
        ("", "ab", {}),
    ],
)
def test_layers_alike_are_matched_in_order(student: str, teacher: str, expected: dict[int, int]) -> None:
    assert inheritance.aligned(student, teacher) == expected


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "mobilenet_v2"])
def test_a_backbone_of_the_same_form_computes_what_its_teacher_does(name: str) -> None:
    teacher, student = (backbones.build(backbones.describe(name)).eval() for _ in range(2))
    images = torch.rand(1, 3, 64, 64) * 255
    assert not torch.equal(student(images)[-1], teacher(images)[-1])
    copied = inheritance.inherit(student, teacher)
    assert copied == sum(parameter.numel() for parameter in teacher.parameters())
    assert all(torch.equal(mine, other) for mine, other in zip(student(images), teacher(images), strict=True))


def test_a_shallower_backbone_takes_the_blocks_of_each_stage() -> None:
    """All that a residual network lacks are blocks that add to what passes by: its taps are like its teacher's."""
    teacher = backbones.build(backbones.describe("efficientnet_lite0")).eval()
    student = backbones.build(backbones.describe("efficientnet_lite0", {"depth": 0.5})).eval()
    assert inheritance.inherit(student, teacher) == sum(parameter.numel() for parameter in student.parameters())
    found = inheritance.origins(student, teacher)
    blocks = {int(name.split(".")[1]): int(origin.split(".")[1]) for name, origin in found.items() if "blocks" in name}
    shapes = [(block.stride, block.project.out_channels) for block in teacher.blocks]
    assert [shapes[blocks[i]] for i in range(len(student.blocks))] == [
        (block.stride, block.project.out_channels) for block in student.blocks
    ]


def test_a_decoder_of_fewer_layers_takes_every_other_one() -> None:
    torch.manual_seed(1)
    teacher = Transformer(TRANSFORMER)
    student = Transformer(TRANSFORMER | {"decoder": [HALF] * 2})
    assert inheritance.inherit(student, teacher) == sum(parameter.numel() for parameter in student.parameters())
    for mine, other in ((0, 0), (1, 2)):
        weights = student.decoder[mine].state_dict(), teacher.decoder[other].state_dict()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert torch.equal(student.target_embedding.weight, teacher.target_embedding.weight)


def test_a_factorised_table_begins_as_the_best_approximation_of_a_whole_one() -> None:
    """Whose error is what the singular values that are left out amount to (Eckart and Young 1936)."""
    torch.manual_seed(1)
    teacher = Transformer(TRANSFORMER)
    student = Transformer(TRANSFORMER | {"embedding": 3})
    copied = inheritance.inherit(student, teacher)
    assert copied == sum(parameter.numel() for parameter in student.parameters())
    whole, table = teacher.target_embedding.weight.detach(), student.target_embedding
    product = (table.weight @ table.expand.weight.T).detach()
    left_out = torch.linalg.svdvals(whole)[3:].square().sum().sqrt()
    torch.testing.assert_close((product - whole).norm(), left_out)
    ids, hidden = torch.arange(5)[None], torch.randn(2, whole.shape[1])
    torch.testing.assert_close(table(ids), product[ids] * whole.shape[1] ** 0.5)
    torch.testing.assert_close(table.project(hidden), hidden @ product.T)
    matrices = table.matrices()
    torch.testing.assert_close(hidden @ matrices[0] @ matrices[1], table.project(hidden))


@pytest.mark.parametrize(("mine", "theirs"), [(2, 3), (3, 3), (None, 3), (16, 16), (40, None), (40, 3)])
def test_tables_of_any_two_forms_are_alike(mine: int | None, theirs: int | None) -> None:
    """The student's is the teacher's, or as close to it as its rank allows."""
    torch.manual_seed(1)
    teacher, student = (Transformer(TRANSFORMER | {"embedding": inner}) for inner in (theirs, mine))
    copied = inheritance.inherit(student, teacher)
    assert copied == sum(parameter.numel() for parameter in student.parameters())
    whole = teacher.target_embedding.whole().detach()
    left_out = torch.linalg.svdvals(whole)[mine or 16 :].square().sum().sqrt()
    found = student.target_embedding.whole().detach()
    torch.testing.assert_close((found - whole).norm(), left_out, atol=1e-5, rtol=1e-4)


def test_what_has_another_shape_stays_as_it_was() -> None:
    narrow: dict[str, Any] = {
        "arch": "recurrent",
        "cell": "gru",
        "bidirectional": True,
        "vocabulary": 50,
        "dropout": 0.1,
        "max_tokens": 20,
        "attention": "dot",
        "width": 16,
        "readout": 32,
        "layers": 1,
    }
    teacher, student = Recurrent(narrow | {"width": 32}), Recurrent(narrow)
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    found = inheritance.origins(student, teacher)
    inheritance.inherit(student, teacher)
    mine, other = student.state_dict(), teacher.state_dict()
    for name, tensor in mine.items():
        assert torch.equal(tensor, other[found[name]] if name in found else before[name]), name
    assert len(found) < len(mine)
