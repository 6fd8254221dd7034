"""What Stillhouse changes in DVC's process, never in what it does: how fast it starts stages and writes dvc.lock.

`python -m pipelines.dvc repro ...` is `dvc repro ...` with both. What they use of DVC that it does not
document stands in `pipelines.dvc.private` alone; where a file is not as expected, DVC does it its own way.
"""
