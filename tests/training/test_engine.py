"""Lightning without what it imports and training does not use; whoever asks for that has it as ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    *("scipy", "matplotlib", "sympy", "torch._dynamo.eval_frame", "torch._inductor", "torchmetrics.functional"),
    *("pandas", "s3fs", "botocore"),
)
PROGRAM = """
import sys
from pathlib import Path
import torch
from training import hardware, resume
from training.engine import pl

hardware.prepare(1, 7)
assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()

class Learner(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, index):
        return self.layer(batch).sum()

    def validation_step(self, batch, index):
        self.log_dict({"val/loss": self.layer(batch).sum()})

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())

batches = torch.utils.data.DataLoader(torch.ones(4, 3), batch_size=2)
quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "enable_checkpointing": False}
trainer = pl.Trainer(max_epochs=1, accelerator="cpu", plugins=[resume.Local()], **quiet)
trainer.fit(Learner(), batches, batches)
trainer.save_checkpoint(Path(FOLDER) / "last.ckpt")
assert "val/loss" in trainer.callback_metrics and trainer.global_step == 2
loaded = [name for name in HEAVY if name in sys.modules]
assert not loaded, loaded
"""
LATER = """
import torch._dynamo.config  # a submodule first, whose package has not run its code
from torch._dynamo.eval_frame import OptimizedModule
import torchmetrics.aggregation
assert torch._dynamo.OptimizedModule is torch._dynamo.eval_frame.OptimizedModule is OptimizedModule
assert sys.modules["torch._dynamo.config"] is torch._dynamo.config and torch._dynamo.config.__spec__.origin
network = torch.nn.Linear(3, 3)
compiled = torch.compile(network, backend="eager")
assert isinstance(compiled, OptimizedModule) and torch.equal(compiled(torch.ones(2, 3)), network(torch.ones(2, 3)))
metric = torchmetrics.MeanMetric()
metric.update(3.0)
assert metric.compute() == 3 and isinstance(metric, torchmetrics.Metric)
figure, _ = metric.plot()
assert type(figure).__module__ == "matplotlib.figure"
"""


@pytest.mark.parametrize("later", ["", pytest.param(LATER, marks=pytest.mark.slow)], ids=["lean", "later"])
def test_training_imports_what_it_needs_and_the_rest_is_there_when_it_is_asked_for(later: str, tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg"}
    program = PROGRAM.replace("HEAVY", repr(HEAVY)).replace("FOLDER", repr(str(tmp_path))) + later
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
