"""Profiles of devices: what a machine that models are made for takes, measured there, judged here.

    python -m evaluation.device NAME [FOLDER ...]      on the device: writes devices/NAME.json
    python -m evaluation.device.kit TASK FOLDER        here: all candidates of a task with inputs, to be taken there

On the device a checkout and what the server needs are enough (requirements/serve.in). A profile holds what its kernels
take at some sizes, and what whole models took; `compare.budget.device` names it. `estimate` says how a model is judged
that was never there.
"""
