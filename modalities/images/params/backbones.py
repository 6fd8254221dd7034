"""What can be set of each backbone, as sections for `params.yaml`; imports no torch.

A name is that of a published network; the settings vary it. `size` and colours are the task's and not set here.
Every field has a default, the published value, since the fields differ from backbone to backbone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from core.errors import suggest
from core.params import Section, typed
from core.section import Kinds

Norm = Literal["batch", "layer", "instance", "group", "none"]
"""What normalises behind each layer."""
Activation = Literal["relu", "relu6", "leaky_relu", "sigmoid", "tanh", "swish"]
"""The function behind each layer."""
Init = Literal["he", "xavier", "normal"]
"""What random weights are drawn by: He et al. 2015, Glorot and Bengio 2010, or a normal distribution."""
Width = Annotated[int, Field(ge=1, le=1 << 16)]
Share = Annotated[float, Field(gt=0, le=1)]
"""Share of each stage's blocks that is kept, at least the first."""
Factor = Annotated[float, Field(gt=0, le=16)]


class MLP(Section):
    """A multilayer perceptron on the pixels."""

    name: Literal["mlp"] = "mlp"
    widths: list[Width] = Field([256, 128], min_length=1)
    """Units of each hidden layer."""
    norm: Literal["batch", "layer", "none"] = "none"
    """What normalises behind each layer."""
    activation: Activation = "relu"
    init: Init = "he"


class CNN(Section):
    """Plain stages of convolutions, each ended by max-pooling that halves the resolution."""

    name: Literal["cnn"] = "cnn"
    widths: list[Width] = Field([32, 64, 128, 256, 512], min_length=1)
    """Channels of each stage."""
    convolutions: Annotated[int, Field(ge=1, le=16)] = 1
    """Of each stage."""
    kernel: Literal[1, 3, 5, 7] = 3
    """Height and width of each convolution, pixels."""
    norm: Norm = "batch"
    activation: Activation = "relu"
    init: Init = "he"
    depth: Share = 1.0


class ResNet(Section):
    name: Literal["resnet18", "resnet34", "resnet50"]
    width: Factor = 1.0
    """Widening factor (WideResNet): of all blocks, or of what lies within a bottleneck."""
    preactivation: bool = False
    """Norm and activation before each convolution instead of after it."""
    small: bool = False
    """A stem for small pictures: 3x3 at stride 1, no pooling."""
    norm: Norm = "batch"
    activation: Activation = "relu"
    init: Init = "he"
    depth: Share = 1.0


class DenseNet(Section):
    name: Literal["densenet121"]
    growth: Width = 32
    """Channels that each layer adds."""
    blocks: list[Annotated[int, Field(ge=1)]] = Field([6, 12, 24, 16], min_length=1)
    """Layers of each dense block."""
    bottleneck: Annotated[int, Field(ge=0)] = 4
    """Width of the 1x1 convolution before each 3x3 one, in units of `growth`; 0: there is none."""
    compression: Share = 0.5
    """Share of the channels that a transition between two blocks keeps."""
    small: bool = False
    """A stem for small pictures: 3x3 at stride 1, no pooling."""
    norm: Norm = "batch"
    activation: Activation = "relu"
    init: Init = "he"
    depth: Share = 1.0


class MobileNet(Section):
    name: Literal["mobilenet_v1", "mobilenet_v2"]
    width: Factor = 1.0
    """Multiplier of all widths."""
    small: bool = False
    """The first two strides of 2 become 1."""
    norm: Norm = "batch"
    activation: Activation = "relu6"
    init: Init = "he"
    depth: Share = 1.0


class EfficientNetLite(Section):
    name: Literal["efficientnet_lite0"]
    depth: Share = 1.0
    whole: bool = False
    """Also the last stage and the 1x1 convolution to 1,280 channels, from which the published network tells classes: of
    more use to a classifier than to a detector, above all to one whose backbone is frozen."""


SECTIONS: dict[str, type[Section]] = {
    name: section
    for section in (MLP, CNN, ResNet, DenseNet, MobileNet, EfficientNetLite)
    for name in section.model_fields["name"].annotation.__args__  # type: ignore[union-attr]
}
NAMES = tuple(SECTIONS)
PYRAMIDS = tuple(name for name in NAMES if name != "mlp")
"""Those whose default settings give maps of strides 8, 16 and 32."""
PACKAGED = ("efficientnet_lite0",)
"""Those with ImageNet weights in a package that is installed."""
BLOCKS = ("resnet18", "resnet34", "resnet50", "mobilenet_v1", "mobilenet_v2", "efficientnet_lite0")
"""Those made of blocks in a row, each of which gives a map."""
Levels = Literal["last", "all", "blocks"]
"""What a predicting layer sees of a backbone: its last map; the last map of each resolution; those of all blocks."""


def checked(name: str, settings: dict[str, Any], problems: list[str], place: str = "backbone") -> Section | None:
    """The section of backbone `name`; None when it cannot be, with what was wrong added to `problems`."""
    if name not in SECTIONS:
        problems.append(f"{place}: unknown backbone {name!r}; {suggest(str(name), NAMES)}")
        return None
    section: Section | None = typed(SECTIONS[name], {**settings, "name": name}, place, problems)
    return section


def fits(name: str, weights: str, levels: Levels = "last") -> None:
    """Whether a backbone has what it is asked for. Raises: ValueError."""
    if weights == "packaged" and name not in PACKAGED:
        raise ValueError(
            f"`weights: packaged`, but no weights are packaged for backbone {name}, only for {', '.join(PACKAGED)}; "
            "set `weights: none` or give a file, or take that one"
        )
    if levels == "blocks" and name not in BLOCKS:
        raise ValueError(
            f"`levels: blocks`, but backbone {name} is not made of blocks; take `levels: all`, or {', '.join(BLOCKS)}"
        )


def _whole(value: dict[str, Any]) -> dict[str, Any]:
    problems: list[str] = []
    section = checked(value.get("name", ""), value, problems, "name" if value.get("name") not in SECTIONS else "")
    if section is None:
        raise ValueError("; ".join(problems))
    return section.model_dump()


Backbone = Annotated[dict[str, Any], AfterValidator(_whole), Kinds(tuple(dict.fromkeys(SECTIONS.values())))]
"""For a field of a task's params, `backbone: {name: resnet18, small: true}`: its value has every setting, and
`backbones.describe(value["name"], value)` takes it."""
