# One command runs what CI runs: `make test`. `make help` lists the rest.
SHELL := /bin/sh
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/sbin:/sbin
CARGO ?= cargo
ARGS ?=

.PHONY: help demo build test peers fmt clippy tests shipped-configs docs deny clean

help:                ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | awk '{ name = $$1; $$1 = ""; printf "  make %-16s%s\n", name, $$0 }'

# The debug build is ready in a third of the time of the release build; a demo needs no more.
demo:                ## the gate, a catching upstream and the pages on loopback (ARGS=--once ends after the table)
	$(CARGO) run --locked -- demo $(ARGS)

build:               ## the program as it is installed: target/release/consentry
	$(CARGO) build --locked --release

# A recipe of its own for every step, so that one of them can be run alone.
test:                ## everything CI runs
	@$(MAKE) --no-print-directory peers
	@$(MAKE) --no-print-directory fmt
	@$(MAKE) --no-print-directory clippy
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory deny
	@$(MAKE) --no-print-directory shipped-configs
	@$(MAKE) --no-print-directory tests

peers:               ## install the mail servers and clients the tests talk to (only what is missing)
	@scripts/setup-test-peers

fmt:                 ## is everything formatted
	$(CARGO) fmt --check

clippy:              ## lints, warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings

tests:               ## all tests
	$(CARGO) test --locked --no-fail-fast

shipped-configs:     ## `consentry check` over every settings file that ships
	@scripts/check-shipped-configs

docs:                ## the documentation of the code, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

deny:                ## licences, bans, sources and (where the database can be had) advisories of all dependencies
	@scripts/deny

clean:               ## remove what was built and unpacked
	$(CARGO) clean
	rm -rf tests/peers/unpacked
