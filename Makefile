# What people do with this project. Each target does all the set-up it needs.

CARGO ?= cargo
# Parts of the worker that a single machine does not need: s3 (checkpoints in object stores).
FEATURES ?=
# The tests need every part.
ALL_FEATURES := --features biosweep-worker/s3

.DEFAULT_GOAL := help
.PHONY: help setup build run wheels deb test checked test-long lint bench bench-coordinator bench-peers clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Check what a build needs, and fetch libtorch (once)
	@deploy/setup/check.sh
	@deploy/setup/libtorch.sh

build: setup ## Build both programs into target/release
	$(CARGO) build --release --locked -p biosweep -p biosweep-worker $(FEATURES:%=--features biosweep-worker/%)

run: build ## Run the quickstart sweep on embedded data, to results and figures
	target/release/biosweep run quickstart

wheels: setup ## Build the Python wheels of both programs into dist
	deploy/python/build.sh -p biosweep -p biosweep-worker $(ALL_FEATURES)

deb: build ## Make a Debian package of the coordinator and command line into dist
	deploy/debian/build.sh dist

# Everything is built in the release profile, so that libtorch's bindings are compiled once for build, test and lint; and with the tests,
# since what they depend on changes the features of what they share with the programs.
TESTED := --workspace --bins --tests --examples $(ALL_FEATURES)
# With the examples, the dependencies have the features that they have for tests, and are not checked a second time.
DOCUMENTED := --no-deps --document-private-items --lib --bins --examples
# What is built only to be tested once is optimised less, and its lints are checked by the same compilation.
ifeq ($(CI),true)
export CARGO := $(CURDIR)/deploy/setup/once/cargo
else
CLIPPY := clippy
endif

# Many tests wait for processes and clocks, so there are more of them at a time than cores.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

test: setup ## Run every check and test
	@deploy/setup/tests/beside.sh $(MAKE) --no-print-directory checked
	$(CARGO) test --release --locked --workspace $(ALL_FEATURES)

checked: lint
	$(CARGO) build --release --locked $(TESTED)
	@if [ "$$CI" = true ]; then deploy/python/build.sh $(TESTED); fi

test-long: setup ## Run what takes too long for every change: simulations, 200 faults of two coordinators, the soak for half an hour
	deploy/setup/postgresql.sh
	$(CARGO) build --release --locked $(TESTED)
	BIOSWEEP_FAULTS=2 BIOSWEEP_STEPS=20000000 $(CARGO) test --release --locked --workspace $(ALL_FEATURES) --test simulation -- --nocapture
	BIOSWEEP_LEADER_FAULTS=200 $(CARGO) test --release --locked --workspace $(ALL_FEATURES) --test processes -- chaos_with_two --nocapture
	BIOSWEEP_SOAK_S=1800 $(CARGO) test --release --locked --workspace $(ALL_FEATURES) --test processes -- soak --nocapture

lint: setup ## Check format, lints and documentation
	$(CARGO) fmt --all --check
	rustfmt --edition 2024 --check coordinator/store/src/sql/shared/*.rs # a macro names them, which cargo fmt does not follow
	$(CLIPPY:%=$(CARGO) % --release --locked --workspace --all-targets $(ALL_FEATURES) -- --deny warnings)
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --release --locked --workspace $(DOCUMENTED) $(ALL_FEATURES)

bench: build ## Measure updates per second, and trials per second of the coordinator
	target/release/biosweep-worker bench --optimizer sgd
	target/release/biosweep-worker bench --optimizer adam
	target/release/biosweep bench dispatch

bench-coordinator: build ## Measure all of the coordinator: rates as sweeps grow, idle workers, pending trials, recovery, reuse, exports, the page
	target/release/biosweep bench growth
	target/release/biosweep bench idle
	target/release/biosweep bench pending
	target/release/biosweep bench recovery
	target/release/biosweep bench reuse
	target/release/biosweep bench export
	target/release/biosweep bench page

bench-peers: build ## Measure training beside PyTorch and JAX, which are installed for it (2 GB)
	deploy/peers/run.sh --check

clean: ## Remove what was built; libtorch stays
	$(CARGO) clean
