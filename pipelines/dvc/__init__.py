"""What Stillhouse changes in DVC's process, never in what it does: how fast it starts stages and writes dvc.lock.

`python -m pipelines.dvc repro ...` is `dvc repro ...` with both. They use private names of DVC, which stand in this
package alone; where DVC or a file is not as expected, DVC does it its own way.
"""
