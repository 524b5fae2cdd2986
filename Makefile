# Every command that CI and people run. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
FREE_THREADED ?= python3.14t
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help tools develop demo demo-kafka test check format lint types test-python test-rust bench bench-memory bench-spill bench-smoke bench-worker test-free-threaded test-broker-long soak test-memory test-miri bench-compare bench-plot stubs lock wheel clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

tools:
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: install Python 3.10 or newer (https://www.python.org/downloads/)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$$($(PYTHON) --version) is too old: fastfeat needs Python 3.10 or newer; name another one with 'make PYTHON=python3.12 ...'"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: 'apt-get install python3-venv', or a Python from python.org"; exit 1; }
	@command -v cargo >/dev/null || { echo "cargo is missing: install a stable Rust toolchain (https://rustup.rs)"; exit 1; }
	@command -v cc >/dev/null || { echo "a C linker is missing: 'apt-get install gcc', or Xcode's command line tools"; exit 1; }

$(BIN)/.installed: requirements-dev.txt | tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing locked dependencies into $(VENV)"
	@# maturin asks pip for dependency groups, which pip knows since 25.1; a new environment may bring an older one.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(BIN)/.built: $(BIN)/.installed $(RUST_SOURCES) pyproject.toml
	@echo "building fastfeat (release; the first build takes some minutes)"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --locked --quiet > /dev/null
	@touch $@

develop: $(BIN)/.built ## set up .venv and build fastfeat into it

demo: develop ## flights of 2013: features, model, scores, latencies
	@$(BIN)/python -m examples.flights

demo-kafka: develop ## the same, and its pipeline over a real Kafka, which is started and stopped: the same rows
	@$(BIN)/python -m examples.flights --kafka own

# The soak needs little but time, so it runs beside all the others: with job control, so that an interrupt reaches it.
SOAK_SECONDS ?= 300
SOAK_LOG := target/soak.log

test: develop ## every test of both languages, and beside them a worker for five minutes
	@mkdir -p $(dir $(SOAK_LOG)); set -m; \
	FASTFEAT_SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest tests/kafka/test_soak.py > $(SOAK_LOG) 2>&1 & soak=$$!; \
	set +m; trap 'kill -INT $$soak; wait $$soak || true' EXIT; \
	$(MAKE) test-rust; \
	$(MAKE) test-python BESIDE=tests/kafka/test_soak.py; \
	trap - EXIT; echo "waiting for the soak of $(SOAK_SECONDS) s"; \
	wait $$soak || { cat $(SOAK_LOG); echo "the soak failed: $(SOAK_LOG)"; exit 1; }; tail -n 1 $(SOAK_LOG)

# The bindings have no tests of their own in Rust: Python tests them.
test-rust: develop
	LIGHTGBM_LIBRARY="$$($(BIN)/python -c 'import lightgbm, pathlib; print(next(pathlib.Path(lightgbm.__file__).parent.rglob("lib_lightgbm.*")))')" cargo test --locked --workspace --exclude fastfeat-python
	cargo test --locked -p fastfeat-engine --features schedules --test schedules

test-python: develop
	$(BIN)/python -m pytest tests $(addprefix --deselect=,$(BESIDE))

test-free-threaded: tools ## races on one engine, by a Python without its lock: FREE_THREADED=python3.14t
	@command -v $(FREE_THREADED) >/dev/null || { echo "$(FREE_THREADED) is missing: a build of Python with --disable-gil"; exit 1; }
	@test -x .venv-free/bin/python || $(FREE_THREADED) -m venv .venv-free
	.venv-free/bin/python -m pip install --quiet --disable-pip-version-check numpy pytest pytest-timeout hypothesis maturin
	.venv-free/bin/maturin build --release --locked --quiet --interpreter .venv-free/bin/python --out .venv-free/wheels > /dev/null
	.venv-free/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .venv-free/wheels/*.whl
	.venv-free/bin/python -m pytest tests/test_free_threads.py

MEMCHECK = valgrind -q --error-exitcode=1 --suppressions=$(CURDIR)/tests/memcheck.supp
test-memory: develop ## the files with `unsafe` under Valgrind: reads and writes of memory that is not theirs, or of none (minutes)
	@command -v valgrind >/dev/null || { echo "valgrind is missing"; exit 1; }
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$(MEMCHECK)" cargo test --locked -p fastfeat-engine --lib -- prefetch pages
	LIGHTGBM_LIBRARY="$$($(BIN)/python -c 'import lightgbm, pathlib; print(next(pathlib.Path(lightgbm.__file__).parent.rglob("lib_lightgbm.*")))')" \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$(MEMCHECK)" cargo test --locked -p fastfeat-lightgbm --test library --test threads -- --test-threads 1
	PYTHONMALLOC=malloc $(MEMCHECK) --undef-value-errors=no $(BIN)/python -m pytest -q -p no:cacheprovider --assert plain --timeout 0 tests/test_row.py -k "memory or buffer"

test-miri: tools ## the engine's asking for memory ahead, by the rules of Rust itself: a nightly toolchain with Miri (minutes)
	@cargo +nightly miri --version > /dev/null 2>&1 || { echo "Miri is missing: rustup toolchain install nightly --component miri rust-src"; exit 1; }
	cargo +nightly miri test --locked -p fastfeat-engine --lib -- prefetch

test-broker-long: develop ## the faults of the worker's tests in large numbers, on a real Kafka: an hour or more
	FASTFEAT_KILLS=200 FASTFEAT_STOPS=50 FASTFEAT_REBALANCES=100 FASTFEAT_BROKER_KILLS=50 FASTFEAT_FRAMES=1000 FASTFEAT_SCHEDULES=1000000 \
	FASTFEAT_SECONDS=1800 $(BIN)/python -m pytest tests/kafka tests/test_protocol.py --timeout 7200

soak: develop ## a worker for eight hours: memory, file descriptors and threads stay what they were
	FASTFEAT_SOAK_SECONDS=28800 FASTFEAT_SECONDS=1800 $(BIN)/python -m pytest tests/kafka/test_soak.py --timeout 30000

bench-worker: develop ## a worker's throughput and latency, beside a bare loop of aiokafka
	$(BIN)/python benches/worker/run.py

check: format lint types stubs-check test ## format, lint, types and tests of both languages

format: develop
	cargo fmt --all --check
	$(BIN)/ruff format --check .

lint: develop
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check .

types: develop
	$(BIN)/mypy

stubs-check: develop
	$(BIN)/python -m mypy.stubtest fastfeat._core

bench: develop ## latency and throughput, held to benches/gates.toml
	$(BIN)/python -m pytest benches -q --benchmark-disable-gc

bench-smoke: develop ## the benchmarks once and tiny, so that they do not rot
	FASTFEAT_BENCH_EVENTS=5000 $(BIN)/python -m pytest benches -q

bench-memory: develop ## what ten million keys hold, counted and measured, also at a memory limit (minutes, 3 GB)
	$(BIN)/python benches/growth.py

bench-spill: develop ## state four times the memory limit: what an event costs in memory and from disk
	$(BIN)/python benches/spill.py

REPEATS ?= 5
OUT ?= docs/performance.json

bench-compare: develop ## fastfeat beside every yardstick, alternating: docs/performance.{json,md,svg} and the README's table
	$(BIN)/python benches/compare/run.py --repeats $(REPEATS) --out $(OUT)
ifeq ($(OUT),docs/performance.json)
	$(BIN)/python benches/compare/report.py
	$(MAKE) bench-plot
else
	$(BIN)/python benches/compare/report.py --print --result $(OUT)
endif

bench-plot: develop ## docs/performance.svg from docs/performance.json
	@$(BIN)/python benches/compare/environments.py plot.txt benches/compare/plot.py

lock: $(BIN)/.installed ## write requirements-dev.txt anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --group dev --no-emit-index-url --no-annotate --output-file requirements-dev.txt pyproject.toml

wheel: develop ## a wheel in dist/
	$(BIN)/maturin build --release --locked --out dist

clean: ## remove what was built
	rm -rf $(VENV) target dist
