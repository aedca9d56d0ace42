# What people type. Each target sets up what it needs and says so.
CARGO ?= cargo
ENGINE_DIRS := $(CURDIR)/.deps/valkey
export MAINSTAY_ENGINE_DIRS ?= $(ENGINE_DIRS)

.PHONY: build demo test check bench clean web

build:
	@scripts/setup.sh build
	@$(MAKE) --no-print-directory web
	$(CARGO) build --release --locked -p mainstay

demo:
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory web
	$(CARGO) build --release --locked -p mainstay
	target/release/mainstay demo

test:
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory web
	scripts/test.sh

# The dashboard's files, made anew where something it is made of changed.
web: web/dist/index.html

web/dist/index.html: $(shell find web/src web/public web/scripts -type f -not -path web/src/api/schema.ts) web/index.html web/vite.config.ts \
    openapi.json web/node_modules/.package-lock.json web/gen/node_modules/.package-lock.json
	cd web && npm run --silent gen && npm run --silent build

web/node_modules/.package-lock.json: web/package-lock.json
	npm --prefix web ci
	@touch $@

web/gen/node_modules/.package-lock.json: web/gen/package-lock.json
	npm --prefix web/gen ci
	@touch $@

check:
	$(CARGO) fmt --all --check
	$(CARGO) run -q --locked -p xtask -- check
	$(CARGO) clippy -q --locked --workspace --all-targets -- -D warnings

bench:
	@scripts/setup.sh bench
	@$(MAKE) --no-print-directory web
	$(CARGO) build --release --locked -p mainstay
	bench/run.sh

clean:
	$(CARGO) clean
