"""What the engine costs over a bare loop of torch, and what `torch.compile` gains: `docs/training.md`.

    python -m benchmarks.training run detection      the sample, in a clone: its data, then `here`
    python -m benchmarks.training here detection     in a checkout whose data is there; --compile adds a row for it
    python -m benchmarks.training table              docs/training.md from what was measured

Both take each batch of the training, one after the other and in turn first, with equal networks, random numbers,
optimisers, clipping and rates; their weights are the same at the end. `measured/<task>.json` is what a run found, with
its commit and machine.
"""
