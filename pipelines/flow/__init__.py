"""The pipeline in parallel: `make flow`, or `python -m pipelines.flow [TARGET ...] --jobs N --gpus M`.

DVC stays the only owner of order and cache: `plan` reads the DAG and what changed from it, and each stage runs as
`dvc --wait-for-lock repro --single-item STAGE` in a process of its own (`process`). The `scheduler` starts a stage when
its parents are done and there is room (`slots`, from what the stage `needs`), retries what a retry can cure (`outcome`)
and stops cleanly. Prefect shows and keeps all of it (`mirror`, `server`); when it cannot be reached, the stages go on.
"""
