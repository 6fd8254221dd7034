"""The experiments of the lecture notes that Stillhouse grew from, made again and set beside the notes' figures.

    python -m benchmarks.notes run mnist [--data PATH]    a preset in a clone: train, export, quantize, evaluate
    python -m benchmarks.notes table                      docs/notes.md from what was measured

`experiments.yaml` says what the notes did and found, and what is asked of us; `measured/<preset>.json` is what a run
found, with its commit and machine. A run takes the preset as a user would, but for its smaller variants, which the
notes do not have.
"""
