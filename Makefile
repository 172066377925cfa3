# The same steps that .ci/run takes, one by one.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Nested modules have dependencies that users of the library must not get. Each is built as a user would build it.
MODULES := $(shell find . -name go.mod -not -path '*/.*' -exec dirname {} \; | sort)
export GOWORK := off

.PHONY: help test race topologies bench1 style lint deps fuzz-short ci

help:       ## show the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-11s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

test:       ## all tests of all modules
	@set -e; for m in $(MODULES); do (cd $$m && go test ./...); done

race:       ## the same under the race detector, in random order
	@set -e; for m in $(MODULES); do (cd $$m && go test -race -shuffle=on ./...); done

topologies: ## the tests of the library behind Sentinel and on a cluster
	@.ci/run topologies

bench1:     ## every benchmark once, so that none rots
	@set -e; for m in $(MODULES); do (cd $$m && go test -run='^$$' -bench=. -benchtime=1x ./...); done

style:      ## formatting, vet, modernisers, tidiness
	@.ci/run style

lint:       ## golangci-lint, in the version that CI uses
	@.ci/run lint

deps:       ## nothing of testing may be linked into users' programs
	@.ci/run deps

fuzz-short: ## every fuzz test for ten seconds
	@FUZZ_TIME=10s .ci/run fuzz

ci:         ## everything that CI runs
	@.ci/run
