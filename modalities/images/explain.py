"""Role `explain` of tasks that give whole pictures classes: which places of a picture led to its likeliest class.

All methods ask the Predictor that ships, and none looks into its network: what is explained is what is served, in its
own precision. `cam` reads the class activation map that the graph itself gives; the others watch how the class's
probability changes when places are covered with the padding's grey, by captum (https://captum.ai):

    occlusion     a window that slides over the picture (Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901, 4.2)
    lime          a linear model of which cells of a grid are covered (Ribeiro et al. 2016, arXiv:1602.04938)
    kernel_shap   Shapley values of the cells (Lundberg & Lee 2017, https://arxiv.org/abs/1705.07874)

Writes a PNG for each input: the picture, and beside it what each method says. Shapes: N pictures, C colours, H and W
height and width of the network's input.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalities.images.inputs.decode import FILL
from modalities.images.predict.cam import heat
from modalities.images.predict.pictures import pixels
from modalities.images.show.drawing import LIGHT, LINE, enlarged, font, framed, heated

if TYPE_CHECKING:
    import torch

WIDTH = 300
"""Of each picture of a strip, pixels."""
BATCH = 16
"""Covered pictures that are predicted together."""
Map = NDArray[np.float64]
"""(H, W): what each place says for the class."""


def explain(
    predictor: Any, inputs: Sequence[Any], references: Sequence[Any], folder: Path, params: Any, seed: int
) -> None:
    """See the module and `core.task.Explain`. predictor: with `picture` and `classify`, whose results have
    `probabilities` (K,) and `cam`."""
    for i, (value, reference) in enumerate(zip(inputs, references, strict=True)):
        image = pixels(value, f"input {i}")
        picture = predictor.picture(image)
        (found,) = predictor.classify([picture])
        best = int(found.probabilities.argmax())
        maps = {
            name: _method(name, predictor, picture, found, best, params.explain, seed)
            for name in params.explain.methods
        }
        names = {entry["id"]: entry["name"] for entry in reference["categories"]}
        told = (
            f"taken for {predictor.classes[best]['name']} ({found.probabilities[best]:.0%}), "
            f"in the reference {', '.join(names[label] for label in reference['whole']) or 'none'}"
        )
        strip(image, {name: found for name, found in maps.items() if found is not None}, told).save(
            folder / f"explanation_{i:02d}.png"
        )


def strip(image: NDArray[np.uint8], maps: dict[str, Map], told: str) -> Image.Image:
    """The picture (height, width, 3), and beside it each method's heat over it, with its name."""
    plain, _ = enlarged(image, WIDTH)
    row = Image.new("RGB", (plain.width * (1 + len(maps)), plain.height))
    row.paste(plain, (0, 0))
    for column, found in enumerate(maps.values(), 1):
        row.paste(heated(plain, heat(found, plain.width, plain.height)), (column * plain.width, 0))
    canvas, draw = framed(row, 2)
    for column, name in enumerate(["picture", *maps]):
        middle = (column + 0.5) * plain.width
        draw.text((middle, row.height + LINE / 2), name.replace("_", " "), LIGHT, font(15), anchor="mm")
    draw.text((10, row.height + 1.5 * LINE), told, LIGHT, font(15), anchor="lm")
    return canvas


def _method(
    name: str, predictor: Any, picture: NDArray[np.uint8], found: Any, best: int, settings: Any, seed: int
) -> Map | None:
    """None of a network whose last map has one place."""
    if name == "cam":
        return None if found.cam.size == 1 else found.cam.astype(np.float64)
    return {"occlusion": occlusion, "lime": lime, "kernel_shap": kernel_shap}[name](
        _probability(predictor, best), picture, settings, seed
    )


def occlusion(ask: Callable[[torch.Tensor], torch.Tensor], picture: NDArray[np.uint8], settings: Any, seed: int) -> Map:
    """How far the probability falls when a window of `settings.window` of the sides covers a place; a half overlaps."""
    import torch
    from captum.attr import Occlusion

    colours, *sides = picture.shape
    window = [max(1, round(side * settings.window)) for side in sides]
    found = Occlusion(ask).attribute(
        torch.from_numpy(picture).float()[None],
        sliding_window_shapes=(colours, *window),
        strides=(colours, *(max(1, side // 2) for side in window)),
        baselines=float(FILL),
        perturbations_per_eval=BATCH,
    )
    return _of_places(found)


def lime(ask: Callable[[torch.Tensor], torch.Tensor], picture: NDArray[np.uint8], settings: Any, seed: int) -> Map:
    """Weights of a linear model over `settings.cells` times as many cells, fitted to `settings.draws` coverings."""
    from captum.attr import Lime

    return _of_cells(Lime(ask), picture, settings, seed)


def kernel_shap(
    ask: Callable[[torch.Tensor], torch.Tensor], picture: NDArray[np.uint8], settings: Any, seed: int
) -> Map:
    """Shapley values of the cells, from `settings.draws` coverings."""
    from captum.attr import KernelShap

    return _of_cells(KernelShap(ask), picture, settings, seed)


def _of_cells(method: Any, picture: NDArray[np.uint8], settings: Any, seed: int) -> Map:
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    found = method.attribute(
        torch.from_numpy(picture).float()[None],
        baselines=float(FILL),
        feature_mask=torch.from_numpy(cells(picture.shape[1:], settings.cells))[None, None],
        n_samples=settings.draws,
        perturbations_per_eval=BATCH,
    )
    return _of_places(found)


def cells(size: Sequence[int], count: int) -> NDArray[np.int64]:
    """(H, W): the number of the cell that each pixel lies in, of `count` x `count` equal ones."""
    rows, columns = (np.arange(side) * min(count, side) // side for side in size)
    return rows[:, None] * min(count, size[1]) + columns[None, :]


def _of_places(attributions: torch.Tensor) -> Map:
    """(1, C, H, W) -> the mean over the colours."""
    found: Map = attributions[0].mean(0).numpy().astype(np.float64)
    return found


def _probability(predictor: Any, best: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """What captum asks: (N, C, H, W) raw 0-255 -> (N,) probability of the class."""
    import torch

    def ask(batch: torch.Tensor) -> torch.Tensor:
        pictures = batch.round().clamp(0, 255).to(torch.uint8).numpy()
        return torch.tensor([float(one.probabilities[best]) for one in predictor.classify(list(pictures))])

    return ask
