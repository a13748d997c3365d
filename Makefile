# Begin with: sudo make demo, sudo make test. `make help` lists all targets.
GO     ?= $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go) go)
GOFMT  := $(dir $(GO))gofmt
BIN    := bin/tombolo
RELEASE := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export CGO_ENABLED ?= 0

STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.0
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.0

# Go's own version stamp is off: it runs git, and git refuses to read another user's tree
# for root. RELEASE carries the version instead.
BUILD := $(GO) build -trimpath -buildvcs=false

# The Engine of the lab in e2e and lab: make e2e ENGINE=29 (or 20.10). Without it, that is the
# dockerd of this machine.
# ENGINE_CONFIG names a file with settings of the lab's Engines, in the format of daemon.json.
ENGINE ?=
ENGINE_CONFIG ?=
WITH_ENGINE = $(if $(ENGINE),env GO="$(GO)" test/engine.sh $(ENGINE))

.PHONY: help toolchain build setup images demo test unit e2e sim soak chaos vm bench check lint lab install clean

help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

toolchain:
	@$(GO) version >/dev/null 2>&1 || { \
		echo 'make: no Go found. Building Tombolo needs Go 1.26 or later: install it from https://go.dev/dl' \
			'to /usr/local/go, or name another place: make GO=/path/to/go' >&2; exit 1; }

build: toolchain ## Build bin/tombolo, statically linked
	$(BUILD) -ldflags "-X main.release=$(RELEASE)" -o $(BIN) ./cmd/tombolo

setup: ## Install and start missing programs (Docker, nftables, ...)
	@packaging/setup.sh --examples

images: toolchain setup ## Build the example images from Debian packages (cached)
	@cd examples/guestbook/web && $(BUILD) -o web .
	@cd examples/stranger/tool && $(BUILD) -o tool .
	@examples/images.sh

demo: build images ## Show one Compose app on three virtual hosts, linked by name
	$(GO) run ./test/demo --binary $(abspath $(BIN))

test: build images ## Run every test: unit, race, fuzz seeds, kernel, end to end (as root)
	@GO="$(GO)" test/run.sh

unit: toolchain ## Run go test on all packages (without root, kernel and lab tests are skipped)
	$(GO) test ./...

e2e: build setup ## Run the end-to-end tests in a lab, as root (ENGINE=29: on that Docker Engine, RUN=regexp: some of them)
	@test/tools.sh
	TOMBOLO_BINARY=$(abspath $(BIN)) TOMBOLO_ENGINE_CONFIG=$(abspath $(ENGINE_CONFIG)) $(WITH_ENGINE) $(GO) test -p 1 -count=1 -timeout 40m $(if $(RUN),-run '$(RUN)') ./test/e2e/...

sim: toolchain ## Simulate random apps and failures of everything, for 200 seeds (SEEDS=n: more, SEED=n: shows one of them)
	@GO="$(GO)" test/sim/run.sh

soak: build setup ## Run for an hour: fuzzing, many seeds, repeated end-to-end tests
	@GO="$(GO)" test/soak.sh

chaos: build setup ## Break a lab 50 times under traffic, and measure how it heals (SEED=n repeats a run; ROUNDS=n)
	$(GO) run ./test/chaos --binary $(abspath $(BIN)) --rounds $(or $(ROUNDS),50) --seed $(or $(SEED),0)

vm: build ## Install and use a cluster of virtual machines with systemd (QEMU; slow without KVM)
	$(GO) run ./test/vm/cluster --binary $(abspath $(BIN))

bench: build setup ## Measure beside other overlays in one run (ONLY=dns,attach: parts of it; CHECK=1: fail below the goals)
	$(GO) run ./test/bench --binary $(abspath $(BIN)) $(if $(ONLY),--only $(ONLY)) $(if $(CHECK),--check)

check: lint ## Run lint and test
	$(MAKE) test

lint: toolchain ## Run gofmt, vet, staticcheck and golangci-lint
	@test -z "$$($(GOFMT) -l $$(git ls-files '*.go' | grep -v testdata/))" || { $(GOFMT) -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(GOLANGCI_LINT) run ./...

lab: build setup ## Make a lab of three virtual hosts (ENGINE=29: with that Docker Engine)
	$(WITH_ENGINE) $(BIN) lab up --hosts 3

install: build ## Install the binary
	install -D -m 0755 $(BIN) $(DESTDIR)/usr/local/bin/tombolo

clean: ## Remove the binaries that were built
	rm -rf bin examples/guestbook/web/web examples/stranger/tool/tool
