"""Turn a checkpoint into a self-contained ONNX model folder and measure how far it is from torch on real samples.

reads   models/<task>/<variant>/checkpoint/, data/<task>/validated/dataset/
writes  models/<task>/<variant>/fp32/: *.onnx, model.json, what Predictor needs, parity.json
run     python -m stages.export detection base
"""

from __future__ import annotations

import gc
import inspect
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from core import checkpoint, onnx_session, paths, stage, task
from core.brief import brief
from core.errors import ModelError
from core.files import write_json


def export(ctx: stage.Context) -> None:
    torch.set_num_threads(ctx.threads)
    role, graphs = task.load(ctx.task, "model"), task.load(ctx.task, "graphs")
    assert ctx.variant is not None
    saved = checkpoint.load(paths.checkpoint(ctx.task, ctx.variant))
    model = role.build(saved.arch)
    model.load_state_dict(saved.weights)
    model.eval()
    for graph in graphs.graphs(model, saved.arch, ctx.params):
        write_graph(graph, ctx.out / f"{graph.name}.onnx", ctx.params.export.opset)
    graphs.describe(ctx.out, saved.arch, saved.assets, ctx.params)
    predict = task.load(ctx.task, "predict")
    if hasattr(predict, "calibrate"):
        figures = predict.calibrate(ctx.out, paths.clean(ctx.task), ctx.params)
        ctx.run.metrics({f"calibration/{name}": value for name, value in figures.items()})

    differences = graphs.parity(model, ctx.out, paths.clean(ctx.task), ctx.params)
    write_json(ctx.out / "parity.json", {"tolerance": ctx.params.export.tolerance, "max_abs_difference": differences})
    ctx.run.metrics({f"parity/{name}": value for name, value in differences.items()})
    print(f"{ctx.name}: torch against ONNX Runtime, largest absolute difference: {brief(differences)}")
    if beyond := {n: d for n, d in differences.items() if not d <= ctx.params.export.tolerance}:
        raise ModelError(
            f"{ctx.name}: ONNX Runtime differs from torch by {beyond}, {ctx.task}.export.tolerance allows "
            f"{ctx.params.export.tolerance}; the graph is wrong, or the outputs are large and the tolerance too small"
        )
    onnx_session.seal(ctx.out)


def write_graph(graph: task.Graph, path: Path, opset: int) -> None:
    """Export one graph as a single file (weights inside) with IR 10. Raises: ModelError naming the operator."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    gc.disable()  # tracing makes millions of objects that live until its end: 15 % less time, measured
    graph.module.eval()  # a wrapper made by the task starts in train mode: dropout would be exported
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph.module,
                tuple(graph.inputs.values()),
                input_names=list(graph.inputs),
                output_names=graph.outputs,
                dynamic_shapes=dynamic_shapes(graph),
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
                custom_translation_table=graph.translations or {},
            )
    except Exception as error:  # the exporter's errors share no base class; all mean: not exportable
        cause = _root(error)
        raise ModelError(
            f"graph {graph.name!r} cannot be exported at opset {opset}: {type(cause).__name__}: {str(cause)[:500]}; "
            "rewrite the operator it names, or give it a translation (Graph.translations)"
        ) from error
    finally:
        gc.enable()
    assert program is not None
    proto = program.model_proto
    proto.ir_version = onnx_session.IR_VERSION
    _forget_source(proto.graph)
    for function in proto.functions:
        _forget_source(function)
    _forget_unused(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))


def _forget_source(graph: Any) -> None:
    """Take out which line of which file made each node: the folders of this machine are nobody's business, and the same
    model must be the same file in every folder."""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _forget_source(inner)


def _forget_unused(graph: Any) -> None:
    """Leave out what nothing reads of what ONNX Runtime's own operators may give: it is computed if it has a name."""
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for node in graph.node:
        if node.domain != "com.microsoft":
            continue
        names = [name if name in read else "" for name in node.output]
        while names and not names[-1]:
            names.pop()
        del node.output[:]
        node.output.extend(names)


def dynamic_shapes(graph: task.Graph) -> tuple[Any, ...]:
    """For each input in order: axis -> dimension; the same name is the same `torch.export.Dim`. Those that `forward`
    takes as `*rest` are a tuple in the tuple, as `torch.export` wants them."""
    dims: dict[str, Any] = {}
    shapes = tuple(
        {axis: dims.setdefault(name, torch.export.Dim(name)) for axis, name in graph.dynamic.get(key, {}).items()}
        for key in graph.inputs
    )
    taken = inspect.signature(graph.module.forward).parameters.values()
    named = sum(each.kind is not inspect.Parameter.VAR_POSITIONAL for each in taken)
    return shapes if named == len(taken) else (*shapes[:named], shapes[named:])


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


if __name__ == "__main__":
    stage.main("export", export, lambda name, variant: paths.model(name, variant, "fp32"))
