# What people type: make build test demo bench lint. `make help` lists everything.

GO       ?= go
VERSION  ?= 0.1.0
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
LIBEXEC  ?= $(PREFIX)/libexec/barman
TOOL     := $(GO) tool -modfile=$(CURDIR)/tools/go.mod
# LIBEXECDIR is where an installed barman finds the plugins of its own build; empty means plugins/ beside the executable.
LIBEXECDIR ?=
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.libexecDir=$(LIBEXECDIR)
# Where and how build works; tests build into a directory that user postgres can read.
BIN        ?= bin
BUILDFLAGS ?= -trimpath
FUZZTIME   ?= 30s
COMMANDS := $(filter-out internal,$(notdir $(wildcard cmd/*)))
PLUGINS  := $(foreach t,transfer compress hooks,$(addprefix $(t)/,$(filter-out internal,$(notdir $(wildcard plugins/$(t)/*)))))

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Install what tests and demo need with apt-get (Debian 12; uses sudo unless root)
	./packaging/deps.sh

# The linker writes through a map of the file, which leaves it in the page cache in the smallest pages. Written by write(2), as install and
# package managers do, the same program starts a fifth faster.
define rewrite
set -e; for f in $(addprefix $(BIN)/,$(COMMANDS)) $(BIN)/plugins/*; do \
	[ -L $$f ] || { cp -p $$f $(BIN)/.new && mv -f $(BIN)/.new $$f; }; \
done
endef

build: ## Build every program into bin/ and every plugin into bin/plugins/
	@mkdir -p $(BIN)/plugins
	$(GO) build $(BUILDFLAGS) -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...
	@set -e; for p in $(PLUGINS); do \
		type=$${p%%/*}; name=$${p##*/}; [ $$type = hooks ] && type=hook; \
		$(GO) build $(BUILDFLAGS) -ldflags '$(LDFLAGS)' -o $(BIN)/plugins/barman-$$type-$$name ./plugins/$$p; \
		for alias in $$(cat plugins/$$p/aliases 2>/dev/null); do \
			ln -sf barman-$$type-$$name $(BIN)/plugins/barman-$$type-$$alias; \
		done; \
	done
	@$(rewrite)
	@echo "built: $(COMMANDS), plugins: $(notdir $(PLUGINS))"

# $(call with-programs,COMMAND) runs a command whose test processes share one build of the programs: that in BARMAN_TEST_BIN, if it is set.
# Not $$(MAKE): make -n, with which test/docs asks what a target does, would run this line.
define with-programs
	@set -e; export BARMAN_TEST_BIN; \
	if [ -z "$$BARMAN_TEST_BIN" ]; then \
		BARMAN_TEST_BIN=$$(mktemp -d /tmp/barman-bin.XXXXXX); trap 'rm -rf "$$BARMAN_TEST_BIN"' EXIT; chmod 755 "$$BARMAN_TEST_BIN"; \
		make --no-print-directory build BIN="$$BARMAN_TEST_BIN" BUILDFLAGS=; \
	fi; \
	echo '$(1)'; $(1)
endef

# In this order those that wait run beside those that compute. Codecs and the parsers of WAL are too slow under the race detector; they
# are mostly libraries, or start no goroutine.
RACED := ./plugins/transfer/... ./core/... ./sdk/... ./plugins/hooks/...

# RETRIES gives a test that failed so many more chances, for a gate on a busy machine; the report names every test that needed one.
RETRIES ?= 0
GOTEST  := $(TOOL) gotestsum --format=pkgname-and-test-fails --format-icons=text --hide-summary=skipped --rerun-fails=$(RETRIES) --rerun-fails-max-failures=3 \
	--rerun-fails-run-root-test --rerun-fails-abort-on-data-race

test: deps ## Run every test but the matrix: units, plugins, command line, end to end on real PostgreSQL
	$(call with-programs,CGO_ENABLED=1 $(GOTEST) --packages="$$($(GO) list $(RACED) | grep -v /core/wal)" -- -race && \
		$(GOTEST) --packages="$$($(GO) list ./core/wal/... ./cmd/... ./plugins/compress/... ./test/... | grep -v /test/matrix)" -- -timeout 40m)

test-matrix: deps versions ## Prove every way to take a backup on PostgreSQL 13, 15, 17 and 18, and print the table
	$(call with-programs,$(GO) -C test/matrix test -count=1 -timeout 30m)

lint: ## Run the linters pinned in tools/go.mod
	$(TOOL) golangci-lint run ./...
	cd sdk/proto && $(TOOL) buf lint && $(TOOL) buf breaking --against image.binpb

demo: ## Back up, destroy and recover a real PostgreSQL server, step by step
	./examples/demo.sh

bench: ## Measure this program and its peers side by side; writes docs/benchmarks.md
	$(call with-programs,$(GO) test -count=1 -timeout 180m -run TestBench ./test/bench -bench-report $(CURDIR)/docs/benchmarks.md -v)

fuzz: ## Run every fuzz target for FUZZTIME (30s) each
	@set -e; for file in $$(grep -rl '^func Fuzz.*testing.F)' --include='*_test.go' . | sort); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$file); do \
			echo "== $$file $$target"; \
			$(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=20x $$(dirname $$file); \
		done; \
	done

versions: ## Fetch PostgreSQL 13, 17, 18 and newer Python Barmans for the tests that use them (Debian, root)
	./test/lab/versions.sh

generate: ## Regenerate the gRPC code and the reference documentation
	cd sdk/proto && $(TOOL) buf generate
	$(GO) run ./core/config/internal/gendoc

generate-check: generate ## Fail when generated files are out of date
	git diff --exit-code -- sdk/pb docs

install: LIBEXECDIR := $(LIBEXEC)/plugins
install: build ## Install into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXEC)/plugins $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 0755 $(addprefix bin/,$(COMMANDS)) $(DESTDIR)$(BINDIR)
	@set -e; for f in bin/plugins/*; do \
		if [ -L $$f ]; then cp -P --remove-destination $$f $(DESTDIR)$(LIBEXEC)/plugins; \
		else install -m 0755 $$f $(DESTDIR)$(LIBEXEC)/plugins; fi; \
	done
	for c in $(COMMANDS); do \
		$(GO) run -tags man ./cmd/$$c man $(DESTDIR)$(PREFIX)/share/man/man1 && \
		$(GO) run -tags man ./cmd/$$c completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$c || exit 1; \
	done

clean: ## Remove what was built
	rm -rf bin

.PHONY: help deps build test test-matrix lint demo bench fuzz versions generate generate-check install clean
