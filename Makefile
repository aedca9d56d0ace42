# What people type. Each target sets up what it needs and says so.
CARGO ?= cargo
ENGINE_DIRS := $(CURDIR)/.deps/valkey
export MAINSTAY_ENGINE_DIRS ?= $(ENGINE_DIRS)

.PHONY: build demo test check bench clean

build:
	@scripts/setup.sh build
	$(CARGO) build --release --locked -p mainstay

demo:
	@scripts/setup.sh demo
	$(CARGO) build --release --locked -p mainstay
	target/release/mainstay demo

test:
	@scripts/setup.sh test
	scripts/test.sh

check:
	$(CARGO) fmt --all --check
	$(CARGO) run -q --locked -p xtask -- check
	$(CARGO) clippy -q --locked --workspace --all-targets -- -D warnings

bench:
	@scripts/setup.sh test
	$(CARGO) build --release --locked -p mainstay
	bench/run.sh

clean:
	$(CARGO) clean
