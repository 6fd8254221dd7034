"""Batches of labels: the same for a seed and an epoch, mixed as the papers say, and temperatures that are the best."""

from __future__ import annotations

from pathlib import Path

import classification_tiny as tiny
import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from modalities.images import data
from modalities.images.data.mixing import cutmix, mixup
from modalities.images.predict import calibration


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of one value each, so that a mixed pixel tells of which they are mixed."""
    images = torch.tensor([0.0, 100.0, 200.0, 50.0])[:, None, None, None].expand(4, 3, 20, 30).clone()
    return images, torch.eye(4)


def test_mixup_mixes_pictures_as_their_targets() -> None:
    images, targets = batch()
    for seed in range(20):
        mixed, soft = mixup(images, targets, 0.4, np.random.default_rng(seed))
        assert torch.allclose(mixed[:, 0, 0, 0], soft @ images[:, 0, 0, 0], atol=1e-4)
        assert torch.allclose(soft.sum(1), torch.ones(4))


def test_cutmix_counts_targets_by_area() -> None:
    images, targets = batch()
    for seed in range(20):
        mixed, soft = cutmix(images, targets, 1.0, np.random.default_rng(seed))
        assert torch.allclose(mixed.mean((1, 2, 3)), soft @ images[:, 0, 0, 0], atol=1e-3)
        assert torch.equal(images, batch()[0])


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    dataset = tiny.edges(tmp_path / "edges")
    made = tiny.settings(train={"mixup": 0.2, "cutmix": 1.0, "batch_size": 6})

    def epoch(number: int) -> list[torch.Tensor]:
        loaders = data.loaders(dataset, dataset, made, 7, None)
        loaders.train.sampler.set_epoch(number)
        return [one[name] for one in loaders.train for name in ("images", "targets")]

    first, again, other = epoch(0), epoch(0), epoch(1)
    assert len(first) == 8 and all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("several", [False, True])
def test_the_temperature_is_the_best_there_is(several: bool) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(3000, 5)) * 1.5
    if several:
        targets = rng.random(honest.shape) < 1 / (1 + np.exp(-honest))
    else:
        shares = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
        targets = np.eye(5, dtype=bool)[[rng.choice(5, p=row) for row in shares]]
    found = calibration.temperature((honest * 2.5).astype(np.float32), targets, several)
    best = minimize_scalar(
        lambda t: calibration.loss(honest * 2.5 / t, targets, several), bounds=(0.1, 10), method="bounded"
    ).x
    assert found == pytest.approx(best, rel=1e-3) and found == pytest.approx(2.5, rel=0.1)
    assert calibration.temperature(np.zeros((0, 5), np.float32), np.zeros((0, 5), bool), several) == 1.0
