# make repro · make flow · make test · make ui — each sets up .venv first when it is missing or the lock changed.

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
# torch and its CUDA wheels are left out of the locks for CPUs: the same pin is a CPU or a CUDA build.
WITHOUT_TORCH := $(addprefix --no-emit-package ,torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix \
	nvidia-,cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse \
	cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx))
COMPOSE := docker compose --file docker/compose.yaml --env-file docker/.env --profile $(or $(PROFILE),cpu)
LOCK := cd requirements && uv pip compile --generate-hashes --python-version 3.11 --python-platform linux \
	--no-emit-index-url --no-header --quiet
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1

.PHONY: help setup repro flow flow-ui host search serve sign deploy repair benchmark image stack-up stack-run stack-logs stack-down \
	test test-models test-servers test-slow test-containers lint ui docs preset lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# pip compiles on one core, compileall on all of them. It fails for templates, which are no modules. Scripts of .venv/bin
# name the Python that they were installed for, in a copied checkout the original's: so `python -m pip`.
setup: $(STAMP) ## .venv from the lock file
$(STAMP): requirements/dev.lock requirements/torch.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes --no-deps -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --no-compile -r requirements/torch.txt
	$(BIN)/python -m pip check
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	touch $@

repro: $(STAMP) ## the whole pipeline (TARGET=package@detection for a part), then a table of the results
	@$(BIN)/python -m pipelines.unchanged $(TARGET) || $(BIN)/python -m pipelines.repro $(TARGET)

flow: $(STAMP) ## the same, independent stages side by side, shown in Prefect (ARGS="--jobs 4 --gpus 2 --dry TARGET")
	$(BIN)/python -m pipelines.flow $(ARGS)

host: $(STAMP) ## this machine runs stages for POOL=NAME, until Ctrl-C (ARGS="--slots 2 --label gpu"); docs/cluster.md
	$(BIN)/python -m pipelines.flow.hosts $(or $(POOL),$(error POOL=NAME names no pool)) $(ARGS)

search: $(STAMP) ## smaller or faster variants within the budget (TASK=detection MINUTES=20); the same again goes on
	$(BIN)/python -m pipelines.search $(or $(TASK),$(error TASK=detection names no task)) --minutes $(or $(MINUTES),20) \
		--parallel $(or $(PARALLEL),1)

flow-ui: $(STAMP) ## Prefect's UI on the flows that ran here
	$(BIN)/python -m pipelines.flow.server

serve: $(STAMP) ## the packages over HTTP, with a page to try them (PACKAGES="packages/detection" ARGS="--port 9000")
	$(BIN)/python -m serving $(or $(PACKAGES),packages) $(ARGS)

sign: $(STAMP) ## the packages, with the private key KEY=FILE (`python -m ops.passport keygen FILE` makes one)
	$(BIN)/python -m ops.passport sign $(or $(PACKAGES),$(wildcard packages/*)) --key $(or $(KEY),$(error KEY=FILE names no private key))

deploy: $(STAMP) ## register pipelines/deployments.yaml with the Prefect server (ARGS="--dry --prune")
	$(BIN)/python -m pipelines.deploy $(ARGS)

repair: $(STAMP) ## mend what a killed DVC left (make repro and make flow do it by themselves)
	$(BIN)/python -m ops.repair

benchmark: $(STAMP) ## NAME=parallel|overhead|planning|sample|warm: the flow against dvc repro
	$(BIN)/python -m benchmarks.flow $(NAME)

image: ## NAME=serve|serve-gpu|train|train-cpu: build it with docker or podman (ARGS="--base IMAGE")
	$(PYTHON) docker/build.py $(NAME) $(ARGS)

stack-up: docker/.env ## the stack of docker/compose.yaml: databases, MLflow, Prefect, worker, server (PROFILE=gpu)
	$(COMPOSE) up --detach --wait

stack-run: ## the pipeline at this commit, by the stack's worker (ARGS="package@detection")
	$(COMPOSE) --profile submit run --rm --no-deps submit $(ARGS)

stack-logs: ## what its services say
	$(COMPOSE) logs --follow

stack-down: ## stop it; its volumes stay
	$(COMPOSE) --profile cpu --profile gpu --profile submit down

docker/.env:
	$(PYTHON) docker/passwords.py

test: $(STAMP) lint ## format, lint, types, tests (ARGS="--budget quick": and what they cost)
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder $(ARGS)

test-models: $(STAMP) ## tests that train, compress and export networks; every task through every stage
	$(BIN)/python -m pytest -m "models and not slow" -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder $(ARGS)

test-servers: $(STAMP) ## tests with the servers of Prefect and MLflow and with a browser, for real
	$(BIN)/python -m pytest -m "servers and not slow" -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder $(ARGS)

test-containers: $(STAMP) ## images and the stack, really built and run (needs mmdebstrap, docker or podman; root)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/containers.lock
	if command -v npm >/dev/null; then npm ci --silent --prefix requirements/npm; fi
	$(BIN)/python -m pytest -m containers tests/docker $(ARGS)

test-slow: $(STAMP) ## the heavy tier: the sample chain, kills, several processes
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy

ui: $(STAMP) ## MLflow's UI on the runs made here
	$(BIN)/python -m pipelines.ui

docs: $(STAMP) ## the site of docs/, every link and anchor checked (ARGS="--serve": and at http://127.0.0.1:8000)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/docs.lock
	$(BIN)/python docs/build.py $(ARGS)

preset: $(STAMP) ## NAME=bccd [DATA=/path/to/a/local/copy]: write presets/NAME.yaml into params.yaml
	$(BIN)/python -m pipelines.preset $(NAME) $(if $(DATA),--data "$(DATA)")

lock: ## requirements/*.lock anew from requirements/*.in (needs uv)
	$(LOCK) dev.in torch.txt -o dev.lock $(WITHOUT_TORCH)
	$(LOCK) train.in cpu.in torch.txt -c dev.lock -o train-cpu.lock $(WITHOUT_TORCH)
	$(LOCK) train.in gpu.in torch.txt -c dev.lock -o train.lock
	$(LOCK) serve.in cpu.in -c dev.lock -o serve.lock
	$(LOCK) serve.in gpu.in -c train.lock -o serve-gpu.lock
	$(LOCK) containers.in -c dev.lock -o containers.lock
	$(LOCK) docs.in -c dev.lock -o docs.lock

clean: ## remove outputs and state, keep .venv
	rm -rf $(filter-out data/sources/,$(wildcard data/*/)) data/plan.txt models evaluations explanations timings reports packages deploy \
		.stillhouse .dvc/cache .dvc/tmp dvc.lock
