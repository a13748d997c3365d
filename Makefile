# Everything a newcomer needs: sudo make demo, sudo make test. `make help` lists the rest.
GO     ?= $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go) go)
GOFMT  := $(dir $(GO))gofmt
BIN    := bin/tombolo
RELEASE := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export CGO_ENABLED ?= 0

STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.0
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.0

# Stamping asks git, which answers root nothing about another user's tree; RELEASE says
# what there is to say.
BUILD := $(GO) build -trimpath -buildvcs=false

.PHONY: help toolchain build setup images demo test unit e2e soak vm bench check lint lab install clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

toolchain:
	@$(GO) version >/dev/null 2>&1 || { \
		echo 'make: no Go here: Tombolo is built with Go 1.26 or later; install it from https://go.dev/dl' \
			'to /usr/local/go, or say where it is: make GO=/path/to/go' >&2; exit 1; }

build: toolchain ## Build bin/tombolo, statically linked
	$(BUILD) -ldflags "-X main.release=$(RELEASE)" -o $(BIN) ./cmd/tombolo

setup: ## Install and start what is missing (Docker, nftables, ...)
	@packaging/setup.sh --examples

images: toolchain setup ## Build the example images from Debian packages (cached)
	@cd examples/guestbook/web && $(BUILD) -o web .
	@cd examples/stranger/tool && $(BUILD) -o tool .
	@examples/images.sh

demo: build images ## The main job: one Compose app on three hosts, linked by name
	$(GO) run ./test/demo --binary $(abspath $(BIN))

test: build images ## Every test: unit, race, fuzz seeds, kernel, lab end to end
	@GO="$(GO)" test/run.sh

unit: toolchain ## Tests that need neither root nor Docker are among these; run as root for all
	$(GO) test ./...

e2e: build setup ## The lab end-to-end tests alone
	TOMBOLO_BINARY=$(abspath $(BIN)) $(GO) test -p 1 -count=1 -timeout 15m ./test/e2e/...

soak: build setup ## Long runs: fuzzing, many seeds, end to end again and again (an hour)
	@GO="$(GO)" test/soak.sh

vm: build ## Virtual machines with systemd, installed and used as a cluster (QEMU; slow without KVM)
	$(GO) run ./test/vm/cluster --binary $(abspath $(BIN))

bench: build setup ## Figures side by side with other overlays, from one run (ONLY=dns,attach: parts; CHECK=1: fail below the goals)
	$(GO) run ./test/bench --binary $(abspath $(BIN)) $(if $(ONLY),--only $(ONLY)) $(if $(CHECK),--check)

check: lint ## gofmt, vet, staticcheck, golangci-lint, tests
	$(MAKE) test

lint: toolchain ## gofmt, vet, staticcheck, golangci-lint
	@test -z "$$($(GOFMT) -l $$(git ls-files '*.go' | grep -v testdata/))" || { $(GOFMT) -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(GOLANGCI_LINT) run ./...

lab: build setup ## A lab of three hosts to play with
	$(BIN) lab up --hosts 3

install: build ## Install the binary
	install -D -m 0755 $(BIN) $(DESTDIR)/usr/local/bin/tombolo

clean: ## Remove what was built
	rm -rf bin examples/guestbook/web/web examples/stranger/tool/tool
