# One verb per habit; `make help` lists them. Building and running need nothing but Go.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

TEST_P       ?= 3
FUZZTIME     ?= 10s
STRESS_COUNT ?= 20
SOAK         ?= 10m
BENCH        ?= .
BENCHTIME    ?= 1s
BENCHCOUNT   ?= 6
PEERS_ROUNDS ?= 1
PEERS_FLAGS  ?=
BASELINE     ?= bench/baseline.txt
BENCHES      := ./bench ./ringbuf ./asf ./mmsh ./ingest

# The tests with real players, and with a line between two pumps, keep time: nothing else may run beside them.
REAL := ./internal/e2e/... ./internal/linktest/...
# Of the others, the longest come first, so that none is left alone at the end. Most of them wait more than they compute.
LONG := ./server ./house/store ./pump ./certificate/acme ./house ./internal/soak ./loadtest ./cmd/pump-house ./house/web
UNIT = $$(go list $(LONG) ./... | grep -v -e '/internal/e2e' -e '/internal/linktest')

# Built with this tag, freed slabs are poisoned and misuse panics.
DEBUG_TAG  := ringbufdebug
DEBUG_PKGS := ./ringbuf/... ./stream/...

.PHONY: help build run test test-units test-real race stress fuzz bench bench-short bench-micro bench-house bench-peers benchcmp lint check e2e test-link soak soak-house sec package testcard clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 16

build: ## all programs into bin/, each one file that needs no library
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

run: ## build, then serve the live test card on port 8086
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/stream-pump
	exec bin/stream-pump demo

test: test-units test-real ## every test with the race detector, real players included (installs them when root)

test-units: ## every test but those with real players and with a line between two pumps
	scripts/install-test-deps
	scripts/test-packages -race -vet=off -timeout 10m -p $(TEST_P) $(UNIT)
	scripts/test-packages -race -vet=off -timeout 10m -p $(TEST_P) -tags $(DEBUG_TAG) $(DEBUG_PKGS)

test-real: ## those
	scripts/install-test-deps
	scripts/test-packages -race -vet=off -timeout 15m -p 1 -count 1 $(REAL)

race: ## the tests without real programs, quick, with the race detector
	go test -race -short -timeout 5m $(UNIT)

stress: ## the stress tests, STRESS_COUNT times each, as they are built and with slab checking
	go test -race -run Stress -count $(STRESS_COUNT) -timeout 30m $(UNIT)
	go test -race -tags $(DEBUG_TAG) -run Stress -count $(STRESS_COUNT) -timeout 30m $(DEBUG_PKGS)

fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

bench: ## what a viewer costs: a bare writev loop and the pump in turn, one table (about ten minutes), into bench/out/fanout.md
	go run ./bench/fanout

bench-short: ## a short form of it, what is exact in numbers, and each small benchmark briefly, with tables in bench/out
	@mkdir -p bench/out
	go test -count 1 -run TestNumbers ./bench
	go run ./bench/fanout -short
	go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime 200ms -count 1 -timeout 10m $(BENCHES) | tee bench/out/short.txt
	go tool benchstat bench/out/short.txt | tee bench/out/short-table.txt

bench-micro: ## the small benchmarks, BENCHCOUNT times, into bench/out/micro.txt
	@mkdir -p bench/out
	go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(BENCHCOUNT) -timeout 60m $(BENCHES) | tee bench/out/micro.txt

bench-house: ## what sending a viewer to a pump costs the house, and its rate against net/http by itself
	go test -run '^$$' -bench 'Decision|Index|RedirectRate' -benchtime 1s ./house/delegate

bench-peers: ## the pump beside VLC, Icecast and nginx-rtmp (installs them when root), PEERS_ROUNDS times, into bench/out/peers.md
	scripts/install-bench-peers
	go run ./bench/peers -rounds $(PEERS_ROUNDS) $(PEERS_FLAGS)

benchcmp: bench-micro ## the small benchmarks against the committed baseline
	go tool benchstat $(BASELINE) bench/out/micro.txt | tee bench/out/compare.txt

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [[ -z $$unformatted ]] || { echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go vet -tags $(DEBUG_TAG) $(DEBUG_PKGS)
	go tool staticcheck ./...

check: lint race ## what to run before a commit

e2e: ## the tests with real players and servers only
	scripts/install-test-deps
	go test -race -v -count 1 -timeout 15m ./internal/e2e/...

test-link: ## two pumps with a slow, breakable line between them only (root, network namespaces)
	scripts/install-test-deps
	go test -race -v -count 1 -timeout 5m ./internal/linktest/...

soak: ## a day of churn in SOAK, after which the pump has to be what it was
	go test -v -count 1 -timeout 2h -run '^TestSoak$$' ./internal/soak -soak $(SOAK)

soak-house: ## the same with a house and a small fleet
	go test -v -count 1 -timeout 2h -run '^TestSoakHouse$$' ./internal/soak -soak $(SOAK)

sec: ## known vulnerabilities and gosec (gets both tools and the list of vulnerabilities from the module proxy)
	scripts/sec

package: ## .deb and .rpm into dist/
	packaging/build dist '$(VERSION)' '$(COMMIT)'

testcard: ## make the embedded test card anew
	scripts/make-testcard

clean: ## remove what the other verbs made
	rm -rf bin dist bench/out
