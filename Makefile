# make run    serve the quickstart policies on http://127.0.0.1:8377
# make test   install what the tests need, then lint, type-check and run them all

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock

.PHONY: run test check lint format bench bench-meter bench-leases bench-policy lock system-packages clean

run: $(VENV)/run
	$(BIN)/sidecar serve --policies policies/quickstart

test: system-packages helm-tool $(VENV)/dev
	$(MAKE) --no-print-directory check

# A file of tests stays with one process; they share nothing but the machine. As tests wait for
# processes a good part of their time, there is one more than cores, and types are checked beside.
PROCESSES ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 2 ? 2 : cores > 4 ? 5 : cores + 1)))
# What is compiled once is kept, whatever the environment says: hundreds of processes begin.
check: export PYTHONDONTWRITEBYTECODE =
check: style
	$(MAKE) --no-print-directory --jobs=2 suite types test-policies

.PHONY: suite
suite: $(VENV)/dev
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

# The shipped policies, each with the tests that stand beside it.
.PHONY: test-policies
test-policies: $(VENV)/dev
	@for set in quickstart self-hosted platform; do \
	  $(BIN)/sidecar test policies/$$set --coverage || exit; done

lint: style types

.PHONY: style types
style: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/dev
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Programs that tests run for real. Installs what is missing as root, else says how.
SYSTEM_PROGRAMS := redis-server curl go faketime chromium wrk
SYSTEM_PACKAGES := redis-server curl golang-go faketime chromium fonts-dejavu-core wrk python3-venv
system-packages:
	@missing=""; for program in $(SYSTEM_PROGRAMS); do \
	  command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	$(PYTHON) -c "import ensurepip" 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES); \
	else \
	  echo "missing:$$missing. Install with: sudo apt-get install -y $(SYSTEM_PACKAGES)"; exit 1; \
	fi

$(VENV)/bin/python:
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || $(MAKE) --no-print-directory system-packages
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: $(VENV)/bin/python pyproject.toml $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(LOCK) -e .
	@touch $@

$(VENV)/dev: $(VENV)/bin/python pyproject.toml $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(LOCK) -e '.[dev]'
	@touch $@ $(VENV)/run

# Pin what CI uses to what the newest versions inside the ranges are.
lock: $(VENV)/bin/python
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	.lock/bin/pip freeze --exclude-editable | grep -v '^mozaiks-sidecar' > $(LOCK)
	.lock/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	.lock/bin/uv $(COMPILE) --extra otel --extra jwt pyproject.toml -o helm/image.lock
	echo 'hatchling>=1.27,<2' | .lock/bin/uv $(COMPILE) - -o helm/build.lock
	rm -rf .lock

# What the image is made of, known by hashes. Its versions are those that are tested.
COMPILE := pip compile --quiet --no-header --generate-hashes --python-version 3.12 \
	--python-platform linux --constraint $(LOCK)

# Real helm, for the chart and its tests, built once for all checkouts of this user.
HELM_VERSION := v3.19.2
HELM_KEPT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mozaiks-sidecar/helm-$(HELM_VERSION)
.PHONY: helm-tool
helm-tool: .tools/helm
.tools/helm:
	@mkdir -p .tools
	@test -x $(HELM_KEPT)/helm || GOBIN=$(HELM_KEPT) go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	@ln -sf $(HELM_KEPT)/helm .tools/helm

# BENCH="--only echo check half --rounds 3" measures a part, BENCH=--help lists all.
bench: system-packages $(VENV)/dev .tools/litellm
	$(BIN)/python -m tests.benchmarks $(BENCH)

# LiteLLM with all that it needs, for comparison, in an environment of its own; where it cannot be
# had, the benchmark tells why and goes on.
.tools/litellm:
	@mkdir -p .tools && $(PYTHON) -m venv $@
	@$@/bin/pip install --quiet --disable-pip-version-check 'litellm[proxy]>=1.80,<2' >$@.log 2>&1 || { cat $@.log; rm -rf $@; }

.PHONY: bench-scale
bench-scale: system-packages $(VENV)/dev
	$(BIN)/python -m tests.benchmarks.scale $(BENCH)

bench-meter: $(VENV)/dev
	$(BIN)/python -m tests.benchmarks.meter

bench-leases: $(VENV)/dev
	$(BIN)/python -m tests.benchmarks.leases

bench-policy: $(VENV)/dev
	$(BIN)/python -m tests.benchmarks.policy

clean:
	rm -rf $(VENV) data .mypy_cache .pytest_cache .ruff_cache dist build

# The CEL compiler's own proofs: each also runs in a short form as a test.
COUNT ?= 20000
SEED ?= 20260501
.PHONY: conformance bench-cel fuzz-cel

# CASES=DIR names the folder that holds cel-core.json and cel-extensions.json.
conformance: $(VENV)/dev
	@test -n "$(CASES)" || { echo "usage: make conformance CASES=DIR"; exit 64; }
	$(BIN)/python -m sidecar.cel.conformance --known tests/unit/cel/known_failures.json $(CASES)/cel-core.json $(CASES)/cel-extensions.json

bench-cel: $(VENV)/dev
	$(BIN)/python -m tests.benchmarks.bench_cel

fuzz-cel: $(VENV)/dev
	$(BIN)/python -m tests.unit.cel.fuzz --count $(COUNT) --seed $(SEED)

# Masters die under load, behind sentinels and in a Cluster; a short form runs as a test.
ROUNDS ?= 5
.PHONY: failover

failover: $(VENV)/dev
	$(BIN)/python -m tests.failover --rounds $(ROUNDS)

# Eight processes over one store against an exact log; short forms run as tests.
OPS ?= 1000000
.PHONY: race

race: $(VENV)/dev
	$(BIN)/python -m tests.race --operations $(OPS)

# The same promises where the way to Redis fails; short forms run as tests.
.PHONY: faults

faults: $(VENV)/dev
	$(BIN)/python -m tests.faults

# Redis, the disk and the server itself break under load; a short form runs as a test.
LASTS ?= 3
KILLS ?= 10
.PHONY: chaos

chaos: $(VENV)/dev
	$(BIN)/python -m tests.chaos --lasts-s $(LASTS) --kills $(KILLS)

# Random sequences of grants, holds, commits, events and time on each store, against a plain model.
SEQUENCES ?= 10000
.PHONY: grants

grants: $(VENV)/dev
	$(BIN)/python -m tests.grants --sequences $(SEQUENCES)

# Another policy on events of a week: memory, speed, how far it is. A short form runs as a test.
EVENTS ?= 1000000
.PHONY: simulate

simulate: $(VENV)/dev
	$(BIN)/python -m tests.simulation --events $(EVENTS)

# 2,000 checks a second while policies are replaced, broken and replaced again; a short form is a test.
RATE ?= 2000
.PHONY: reload

reload: $(VENV)/dev
	$(BIN)/python -m tests.reloading --rate $(RATE)

# Whatever the OpenAPI document allows and forbids, asked of a running server; a short form is a test.
EXAMPLES ?= 20000
.PHONY: fuzz-api

fuzz-api: $(VENV)/dev
	$(BIN)/python -m tests.fuzzing --examples $(EXAMPLES)

# A control plane that is away for all of them, servers that are killed; a short form is a test.
.PHONY: outbox

outbox: $(VENV)/dev
	$(BIN)/python -m tests.outbox --events $(if $(filter file,$(origin EVENTS)),10000,$(EVENTS))

# Bytes that are nearly requests, and directories that are nearly policies; short forms are tests.
MESSAGES ?= 50000
DIRECTORIES ?= 20000
.PHONY: fuzz-http fuzz-policies

fuzz-http: $(VENV)/dev
	$(BIN)/python -m tests.fuzzing http --examples $(MESSAGES)

fuzz-policies: $(VENV)/dev
	$(BIN)/python -m tests.fuzzing policies --examples $(DIRECTORIES)

# Clients that leave in the middle and clients that crawl; ever new names for a while. Short forms are tests.
LEAVING ?= 5000
SLOW ?= 500
CHECKS ?= 300000
.PHONY: storm soak

storm: $(VENV)/dev
	$(BIN)/python -m tests.clients storm --leaving $(LEAVING) --slow $(SLOW)

soak: $(VENV)/dev
	$(BIN)/python -m tests.clients soak --checks $(CHECKS)

# Streams through the Python client: a third is cancelled, the sidecar is killed in the middle. A short form is a test.
STREAMS ?= 1000
.PHONY: streams

streams: $(VENV)/dev
	$(BIN)/python -m tests.client --streams $(STREAMS)

# The page of an app with 100,000 events of 5,000 users beside an empty one's; a short form is a test.
.PHONY: dashboard

dashboard: $(VENV)/dev
	$(BIN)/python -m tests.dashboard

# Known holes in what is depended on: asks PyPI, and fails where it cannot be asked. In an environment of its own.
.PHONY: audit

audit:
	$(PYTHON) -m venv .audit
	.audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	.audit/bin/pip-audit --strict --no-deps --disable-pip -r $(LOCK)
