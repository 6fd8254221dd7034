"""BatchNorm folded into the convolution or linear layer before it: fewer nodes, and int8 sees one layer."""

from __future__ import annotations

import copy

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval


def fold(network: nn.Module) -> nn.Module:
    """A copy in eval mode that computes the same; `network` stays as it is.

    A BatchNorm is folded when all it sees is one layer's output, and nothing else sees that. `torch.fx` must be able to
    trace `network`: its way may not depend on values.
    """
    folded = copy.deepcopy(network).eval()
    for layer_name, norm_name in pairs(folded):
        layer, norm = folded.get_submodule(layer_name), folded.get_submodule(norm_name)
        fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        _put(folded, layer_name, fuse(layer, norm))
        _put(folded, norm_name, nn.Identity())
    return folded


def pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Names of the layers and of the BatchNorms that can be folded into them."""
    graph = _Tracer().trace(network)
    modules = dict(network.named_modules())
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    found = []
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], _BatchNorm):
            continue
        before = node.args[0]
        if not (
            isinstance(before, fx.Node)
            and before.op == "call_module"
            and isinstance(modules[str(before.target)], nn.Conv2d | nn.Linear)
        ):
            continue
        once = calls.count(str(node.target)) == calls.count(str(before.target)) == 1
        if once and len(before.users) == 1:
            found.append((str(before.target), str(node.target)))
    return found


class _Tracer(fx.Tracer):
    """Sees convolutions as wholes, also those with a forward of their own."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not list(module.children())


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
