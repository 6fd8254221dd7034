"""Explanations point to where the answer is: the label of a tiny picture is which of its edges is bright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import classification_tiny as tiny
import numpy as np
import pytest
from PIL import Image

from core import task
from modalities.images import explain as role
from tasks.classification.predict import Predictor, inputs
from tasks.classification.score import references

EDGES = {"left": np.s_[:, :5], "right": np.s_[:, 15:], "top": np.s_[:5, :]}
"""Of a network's input of 16 x 20."""
METHODS = ["cam", "occlusion", "lime", "kernel_shap"]
EXPLAIN = {"samples": 2, "methods": METHODS, "window": 0.3, "cells": 4, "draws": 120}


@pytest.fixture
def asked(exported: Any, edges: Path) -> tuple[Predictor, list[Path]]:
    predictor = Predictor(exported, threads=1)
    paths = inputs(edges, "test")
    return predictor, paths


def test_it_is_the_modality_that_explains() -> None:
    assert task.load("classification", "explain") is role
    assert not task.has("translation", "explain")


@pytest.mark.parametrize("method", [role.occlusion, role.lime, role.kernel_shap])
def test_the_bright_edge_speaks_for_its_class(asked: tuple[Predictor, list[Path]], method: Any) -> None:
    predictor, paths = asked
    settings = tiny.settings(explain=EXPLAIN).explain
    right = 0
    for path in paths:
        picture = predictor.picture(np.asarray(Image.open(path).convert("RGB")))
        (found,) = predictor.classify([picture])
        best = int(found.probabilities.argmax())
        said = method(role._probability(predictor, best), picture, settings, 7)
        assert said.shape == (16, 20) and np.isfinite(said).all()
        place = np.zeros((16, 20), bool)
        place[EDGES[predictor.classes[best]["name"]]] = True
        right += said[place].mean() > said[~place].mean()
    assert right >= len(paths) - 1


def test_the_same_seed_says_the_same(asked: tuple[Predictor, list[Path]]) -> None:
    predictor, paths = asked
    settings = tiny.settings(explain=EXPLAIN).explain
    picture = predictor.picture(np.asarray(Image.open(paths[0]).convert("RGB")))
    ask = role._probability(predictor, 0)
    first, again, other = (role.kernel_shap(ask, picture, settings, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_cells_cover_a_picture_evenly() -> None:
    found = role.cells((6, 8), 2)
    assert found.tolist() == [[0] * 4 + [1] * 4] * 3 + [[2] * 4 + [3] * 4] * 3
    assert len(np.unique(role.cells((3, 3), 9))) == 9


def test_a_strip_for_each_input(asked: tuple[Predictor, list[Path]], edges: Path, tmp_path: Path) -> None:
    predictor, paths = asked
    settings = tiny.settings(explain=EXPLAIN)
    role.explain(predictor, paths[:2], references(edges, "test")[:2], tmp_path, settings, 7)
    strips = sorted(tmp_path.iterdir())
    assert [path.name for path in strips] == ["explanation_00.png", "explanation_01.png"]
    assert Image.open(strips[0]).width == role.WIDTH * 5  # the picture and four methods
