"""Search for a smaller or faster model: `python -m pipelines.search TASK`, or `make search TASK=detection MINUTES=20`.

Optuna (Akiba et al. 2019, https://arxiv.org/abs/1907.10902) chooses, by what earlier trials found, a smaller variant of
the task and values for the settings that its section `search` names. A trial is a run of the pipeline up to `compare`
in a checkout of its own, with DVC's cache of this one: each link of a chain runs once, and MLflow has every stage. What
counts are the loss on `val` and the speed, both against the base, within `compare.budget`; what is hopeless after
its evaluation is not timed. Trials stand in a database: a search that was killed goes on with the trial that it was at.
"""
