"""`docs/params.md`, the reference of `params.yaml`: `python -m pipelines.reference`.

Type, range and meaning of each knob come from the models that check it (`core/params.py`, `tasks/<task>/params.py`),
its value and, where a model says no more, its meaning from `params.yaml` and the comments there. A test holds the three
together: run this again after a change of any of them.
"""
