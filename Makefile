# make demo   set up everything and run a sample component in a micro-VM
# make test   set up everything and run the tests
# make stress as many repetitions as the promises name, which takes half an hour
# make lint   formatters, linters, type checkers
# make bench  measure, print a table, write benchmarks/results/latest.json
#
# Everything lands inside the tree: .venv, target, components/build.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find native_vmm host_guest_abi guest_wasm_runtime -path '*/target' -prune -o -type f -print)

.PHONY: demo test stress lint bench format clean prerequisites
.DEFAULT_GOAL := demo

prerequisites:
	@tools/check_prerequisites.sh $(PYTHON)

# Tools first, from a stamp of their own: they change less often than the sources.
$(VENV)/.tools: pyproject.toml | prerequisites
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet 'hatchling>=1.27' 'cffi>=2.0' 'editables>=0.5'
	$(BIN)/python -m pip install --quiet --group test --group components --group lint
	@touch $@

$(VENV)/.native: $(VENV)/.tools Cargo.toml Cargo.lock $(RUST_SOURCES) tools/build_native.py tools/build_hook.py
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.native
	$(BIN)/python components/build.py calculator
	$(BIN)/python examples/demo.py

test: $(VENV)/.native
	cargo test --release --workspace --locked --quiet
	$(BIN)/python components/build.py
	$(BIN)/python -m pytest --numprocesses auto

stress: $(VENV)/.native
	HLWASM_STRESS=1 cargo test --release -p native_vmm --locked --test kick_storm
	$(BIN)/python components/build.py cpython wordcount_c
	HLWASM_STRESS=1 $(BIN)/python -m pytest tests/security tests/property/test_random_worlds.py \
		--override-ini timeout=3600 --override-ini faulthandler_timeout=3590

lint: $(VENV)/.native
	cargo fmt --all --check
	cargo fmt --manifest-path guest_wasm_runtime/Cargo.toml --check
	cargo clippy --release --workspace --all-targets --locked --quiet -- --deny warnings
	cd guest_wasm_runtime && cargo clippy --release --locked --quiet -- --deny warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.tools
	cargo fmt --all
	cargo fmt --manifest-path guest_wasm_runtime/Cargo.toml
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.native
	$(BIN)/python components/build.py
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) target guest_wasm_runtime/target components/build
