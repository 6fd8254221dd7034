"""One pipeline over several hosts: `make flow ARGS="--pool NAME"`, with `make host POOL=NAME` on each of them.

DVC stays the only owner of order and cache. The machine that holds the repository plans as ever (`plan`, `scheduler`)
and submits a Prefect flow run for each attempt of a stage (`pool`, `run`), to the work queue of the host that it has
chosen (`choice`). A host (`worker`) makes each attempt in a clone at the planner's commit (`clones`): it fetches the
inputs from the DVC remote, runs `dvc repro --single-item STAGE`, pushes outputs and run cache (`attempt`), and hands
back log, exit code and the stage's entry of dvc.lock, which the planner alone writes (`record`). What goes over the
wire is `order`; none of it is a command.
"""
