"""Every variant of a public data set's preset, trained, made smaller, measured and chosen from: `docs/figures.md`.

    python -m benchmarks.figures run bccd [--data PATH]    `make preset` and `make repro` in a clone
    python -m benchmarks.figures read bccd FOLDER          take the figures of a checkout where these have run
    python -m benchmarks.figures table                     docs/figures.md from what was measured

`measured/<preset>.json` is what a run found, with its commit and machine.
"""
