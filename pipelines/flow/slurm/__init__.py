"""Stages as SLURM jobs: `make flow ARGS="--in slurm"` on a login node (docs/cluster.md).

DVC runs on this side, as for stages here, and owns order, cache and dvc.lock; the command of a stage is a batch job
in the same checkout, which lies on a file system that the nodes share. `commands` is what is asked of SLURM, `place`
starts stages; beside each of them, as the process that DVC takes for its command, `supervisor` holds its job.
"""
