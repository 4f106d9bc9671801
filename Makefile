# `make run` tries the portal out, `make test` and `make lint` check it. Each makes what it needs by itself.
.DEFAULT_GOAL := help
.PHONY: help run test lint stress bench lock
MAKEFLAGS += --no-print-directory

# The first interpreter the portal can run on; the bootstrap says so in one sentence when there is none.
PYTHON := $(shell for p in python3 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1 && echo "$$p" && break; \
	done)
BOOTSTRAP = $(PYTHON) -I chicagocloud/bootstrap.py

ifeq ($(PYTHON),)
define BOOTSTRAP
echo "ChicagoCloud Portal needs Python 3.11 or 3.12, and neither python3, python3.12 nor python3.11 on the path is one: install Python 3.12." >&2; exit 2;
endef
endif

help: ## Say what can be made
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1	/'

run: ## Try the portal out: servers, demo data, web, worker (PORT, CHICAGOCLOUD_STATE can be set)
	@$(BOOTSTRAP) run

test: ## Run the whole suite on servers of its own (ARGS="-k name" picks)
	@$(BOOTSTRAP) test $(ARGS)

lint: ## Check style, types, arrows, templates, migrations and deployment settings
	@$(BOOTSTRAP) lint

stress: ## Run the long races, kills and sealed pairs
	@$(BOOTSTRAP) stress $(ARGS)

bench: ## Measure the purge against hand-written SQL: a table and bench-results/bench.json
	@$(BOOTSTRAP) bench $(ARGS)

lock: ## Make both lock files anew from pyproject.toml
	@$(BOOTSTRAP) lock
