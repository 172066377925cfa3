# The same steps that .ci/run takes, one by one.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Nested modules have dependencies that users of the library must not get. Each is built as a user would build it.
MODULES := $(shell find . -name go.mod -not -path '*/.*' -exec dirname {} \; | sort)
export GOWORK := off

# How many operations make proof checks under each fault, and how long and with how many sessions make soak runs.
PROOF ?= 25000
SOAK ?= 10m
SESSIONS ?= 20000

.PHONY: help test race topologies bench1 proof model soak drills style lint deps fuzz-short ci

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

proof:      ## every fault with PROOF=25000 operations each, in a bubble and on real servers; ends with the table
	@export HOLDFAST_REQUIRE_REDIS=1 HOLDFAST_PROOF_FILE=$$(mktemp); failed=0; \
	go test -count=1 -timeout 0 ./internal/proof/sim -run '^TestFaults$$' -sim.ops $(PROOF) || failed=1; \
	go test -count=1 -timeout 0 ./internal/proof/faults -faults.ops $(PROOF) || failed=1; \
	go run ./internal/proof/history/table -each 20000 -total 1000000 || failed=1; \
	rm -f $$HOLDFAST_PROOF_FILE; exit $$failed

model:      ## every interleaving of the lock's protocol, with spin; see docs/model
	@docs/model/check

soak:       ## faults at random for SOAK=10m, on SESSIONS=20000 sessions at eight replicas
	@HOLDFAST_REQUIRE_REDIS=1 go test -count=1 -timeout 0 -v ./internal/proof/soak -soak.for $(SOAK) -soak.sessions $(SESSIONS)

drills:     ## what users see of six faults with default settings; prints the table of docs/failures.md
	@set -o pipefail; HOLDFAST_REQUIRE_REDIS=1 go test -count=1 -timeout 10m -v ./internal/proof/drills -drills | grep -E '^(---|    ---|\||FAIL|ok)|_test.go'

style:      ## formatting, vet, modernisers, tidiness
	@.ci/run style

lint:       ## staticcheck, some more, and the rules of the house
	@.ci/run lint

deps:       ## nothing of testing may be linked into users' programs
	@.ci/run deps

fuzz-short: ## every fuzz test for ten seconds
	@FUZZ_TIME=10s .ci/run fuzz

ci:         ## everything that CI runs
	@.ci/run
