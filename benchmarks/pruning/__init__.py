"""How much can be removed, by which method, for how much quality, and whether that makes it faster: `docs/pruning.md`.

    python -m benchmarks.pruning run detection            the sample, in a clone: every method at several shares
    python -m benchmarks.pruning read detection FOLDER    take the figures of a checkout where this has run
    python -m benchmarks.pruning table                    docs/pruning.md and its picture from what was measured

Each variant is a stage `prune` with the settings of `params.yaml` (fine-tuning, teacher) but for method and share.
`measured/<task>.json` is what a run found, with its commit and machine.
"""
