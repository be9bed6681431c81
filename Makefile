# Highwater. `make` alone shows what can be made.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# blst is built for the CPU it finds at run time (ADX or not). Without this it takes what the building machine has, and dies with
# SIGILL on an older one. Exported for every go command below; it is part of the build cache's key, so keep it constant.
export CGO_CFLAGS ?= -O2 -D__BLST_PORTABLE__
export CGO_ENABLED := 1

GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X highwater/cmd.version=$(VERSION)
ARGS    ?=
ARCHS   ?= amd64 arm64

# FUZZTIME is per target; FUZZBUDGET bounds the whole loop, in seconds.
FUZZTIME   ?= 10s
FUZZBUDGET ?= 1500

# How often the crash suite kills, and how long the soak lasts.
KILLS    ?= 150
DURATION ?= 1h

# How long the simulated time of a baker is, and its seed.
HOURS ?= 8760
SEED  ?= 1

# golangci-lint is installed by `go install` into bin/tools, at exactly this version.
LINT_VERSION := 2.15.0
LINT         := bin/tools/golangci-lint

# Packages that start goroutines or are called from several; hwm is pure.
RACE := $(patsubst %,./%/...,$(wildcard api cmd failover internal ledger register signer store tezsign))

# What the race detector would see a second time only: docs/failover.md lets two instances do what the scripts of cmd and the tests of
# failover have them do, in the same program. The words of the page are compared in `make test`.
NOT_RACED := ^TestFailoverPage$$

.PHONY: help
help: ## show this help
	@echo 'Highwater, a Tezos remote signer that remembers. make TARGET, where TARGET is one of:'; echo
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## build and run the demo: emulated devices, a chain, a baker; ten levels (ARGS='--interval 6s': until Ctrl-C)
	@bin/highwater demo $(or $(ARGS),--levels 10)

.PHONY: build
build: deps ## build bin/highwater
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/highwater ./cmd/highwater

.PHONY: deps
deps: .cache/deps.stamp ## install the C compiler, pkg-config and the libusb headers if missing (Debian, Ubuntu)

.cache/deps.stamp: scripts/install-deps.sh
	@scripts/install-deps.sh
	@mkdir -p $(@D) && touch $@

.PHONY: test
test: deps ## run the tests of every package
	@scripts/install-deps.sh strace etcd etcdctl
	@$(GO) test ./...

.PHONY: test-mutants
test-mutants: deps ## break each promise on purpose, and see that a test notices (ONLY='a sync' for some)
	@scripts/install-deps.sh strace etcd etcdctl
	@scripts/mutate.sh

.PHONY: test-powercut
test-powercut: deps ## cut the power of the real program on ext4, XFS and btrfs, and break its disk (root; else a VM; ARGS='-cuts 100')
	@test/powercut/test.sh $(ARGS)

.PHONY: test-crash
test-crash: build ## kill the real program under load, KILLS times (150), and ask for all that it must refuse
	@command -v strace >/dev/null || scripts/install-deps.sh strace
	@$(GO) build -trimpath -o bin/crash ./test/crash
	@test/harness/forgetful.sh bin/highwater-forgetful
	@bin/crash -kills $(KILLS)

.PHONY: soak
soak: build ## run the real program under load for DURATION (1h); nothing that it takes may grow
	@$(GO) build -trimpath -o bin/soak ./test/soak
	@bin/soak -duration $(DURATION)

# The clock is simulated, and goroutines work one after the other: a second processor only makes the turns dearer.
.PHONY: year
year: deps ## simulate a baker's year, and count the lost signatures by cause (HOURS=720: a month; SEED=7: another year)
	@$(GO) test -c -o bin/year.test ./test/year
	@cd test/year && HIGHWATER_HOURS=$(HOURS) HIGHWATER_SEED=$(SEED) GOMAXPROCS=1 GOGC=400 ../../bin/year.test -test.timeout 12h -test.run TestYear -test.v

.PHONY: race
race: deps ## run the tests of the concurrent packages under the race detector
	@scripts/install-deps.sh etcd etcdctl
	@$(GO) test -race -skip '$(NOT_RACED)' $(RACE)

.PHONY: fuzz
fuzz: deps ## run every fuzz target for FUZZTIME each (10s), one on each processor at a time, FUZZBUDGET seconds in all
	@FUZZTIME=$(FUZZTIME) FUZZBUDGET=$(FUZZBUDGET) scripts/fuzz.sh

.PHONY: corpus
corpus: deps ## keep what fuzzing found and the tests do not reach yet, under testdata/fuzz (ONLY=FuzzPath: of that target)
	@scripts/corpus.sh

.PHONY: lint
lint: deps ## run go vet, golangci-lint and its formatters' check; see that the lines of scripts/mutate.sh break something
	@$(GO) vet ./...
	@scripts/install-lint.sh $(LINT) $(LINT_VERSION)
	@$(LINT) run ./...
	@$(LINT) fmt --diff ./...
	@CHECK=1 scripts/mutate.sh

.PHONY: test-rules
test-rules: build ## run the unit tests of the alert rules; ask them and the dashboard's queries of a real Prometheus over real daemons
	@scripts/install-deps.sh etcd etcdctl
	@scripts/test-rules.sh

.PHONY: fmt
fmt: deps ## format the code (gofumpt, goimports)
	@scripts/install-lint.sh $(LINT) $(LINT_VERSION)
	@$(LINT) fmt ./...

.PHONY: bench
bench: build ## measure side by side with less durable signers, and print the targets (ARGS='-pace-only -pace 10m')
	@PATH=$$PATH:/usr/sbin:/sbin scripts/install-deps.sh strace mkfs.ext4 losetup etcd
	@$(GO) build -trimpath -o bin/bench ./test/bench
	@PATH=$$PATH:/usr/sbin:/sbin bin/bench $(ARGS)

.PHONY: bench-go
bench-go: deps ## run the benchmarks of single functions
	@$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: model
model: ## search the models of the sign path and of failover with Spin, and every deliberate breakage; installs spin if missing
	@scripts/install-deps.sh spin
	@scripts/model.sh

.PHONY: test-failover
test-failover: build ## two instances: a thousand random histories, each rule taken out, and two machines for real (ARGS='-run planned -seed 5': these alone)
ifeq ($(ARGS),)
	@HIGHWATER_SCHEDULES=1000 $(GO) test -count=1 -run TestSchedules ./failover
	@$(GO) test -count=1 -tags mutation -run TestEachRuleIsNeeded -timeout 30m ./failover
endif
	@PATH=$$PATH:/usr/sbin:/sbin scripts/install-deps.sh ip unshare strace mkfs.ext4 losetup
	@$(GO) build -trimpath -o bin/failover ./test/failover
	@test/failover/skewed.sh bin/highwater-skewed
	@PATH=$$PATH:/usr/sbin:/sbin bin/failover $(ARGS)

.PHONY: test-register
test-register: build ## let three machines share the right to sign through a real etcd, and make everything fail (ARGS='-schedules 20 -seed 7')
	@PATH=$$PATH:/usr/sbin:/sbin scripts/install-deps.sh etcd etcdctl strace ip unshare
	@$(GO) build -trimpath -o bin/register ./test/register
	@$(GO) build -C test/register/etcd -trimpath -o ../../../bin/etcd .
	@PATH=$$PATH:/usr/sbin:/sbin bin/register -etcd etcd,bin/etcd $(ARGS)

.PHONY: test-page
test-page: deps ## look at the status page in Chromium: every state, on a desk and on a phone (PICTURES=DIR keeps pictures)
	@scripts/install-deps.sh chromium
	@HIGHWATER_PICTURES='$(abspath $(PICTURES))' $(GO) test -C test/page -count=1 ./...

.PHONY: test-clients
test-clients: build ## let a client of another project (Taquito) speak to a real signer; installs Node if missing
	@scripts/test-clients.sh

.PHONY: test-usb
test-usb: deps ## let the signer meet emulated devices on a real kernel's USB bus, in a virtual machine; installs QEMU (Debian)
	@test/usb/test.sh $(ARGS)

.PHONY: man
man: build ## write the man pages to bin/man
	@bin/highwater man bin/man

.PHONY: packages
packages: deps ## build the Debian packages and their SBOMs into bin/packages (ARCHS=amd64: not arm64)
	@LDFLAGS='$(LDFLAGS)' scripts/packages.sh $(VERSION) $(ARCHS)

.PHONY: test-packages
test-packages: deps ## install the package in a clean Debian root, sign, upgrade, remove, purge (root; Debian's mirror; ARCH=arm64: emulated)
	@test/packages/test.sh "$$(LDFLAGS='$(LDFLAGS)' scripts/packages.sh $(VERSION) $(or $(ARCH),amd64))"

.PHONY: test-container
test-container: deps ## build the container of the package and let it sign (root; installs podman, buildah, crun; Debian's mirror)
	@test/container/test.sh "$$(LDFLAGS='$(LDFLAGS)' scripts/packages.sh $(VERSION) amd64)"

.PHONY: release-check
release-check: deps ## build the packages twice, in two places with two build caches, and compare (ARCHS=amd64)
	@ARCHS='$(ARCHS)' scripts/release-check.sh

.PHONY: clean
clean: ## remove what was built, the tools included
	@rm -rf bin .cache test/clients/node_modules
