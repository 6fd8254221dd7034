"""Turn an fp32 model folder into an int8 (CPU) or fp16 (GPU) one; a collapse of quality is refused, never hidden.

reads   models/<task>/<variant>/fp32/, data/<task>/validated/dataset/ (calibration: train, check: val)
writes  models/<task>/<variant>/<precision>/
run     python -m stages.quantize detection base int8
"""

from __future__ import annotations

from core import onnx_session, paths, stage, task
from core.brief import brief
from core.files import write_json


def quantize(ctx: stage.Context) -> None:
    role = task.load(ctx.task, "quantize")
    assert ctx.variant is not None and ctx.precision is not None
    source = paths.model(ctx.task, ctx.variant, "fp32")
    notes = role.quantize(source, ctx.out, ctx.precision, paths.clean(ctx.task), ctx.params, ctx.seed)
    write_json(ctx.out / "quantization.json", notes)
    onnx_session.seal(ctx.out)
    sizes = {
        name: sum(p.stat().st_size for p in folder.glob("*.onnx")) / 1e6
        for name, folder in (("fp32_mb", source), (f"{ctx.precision}_mb", ctx.out))
    }
    ctx.run.metrics(sizes | {k: v for k, v in notes.items() if isinstance(v, int | float) and not isinstance(v, bool)})
    print(f"{ctx.name}: {brief(notes | sizes)}")


if __name__ == "__main__":
    stage.main("quantize", quantize, paths.model)
