# make demo [REGION=indus]   the flood of 2025 through everything     make test      all tests; sets itself up
# make setup                 only .venv                               make services  the real servers for the tests (Debian)
# make lint                  ruff, mypy, yamllint                     make clean     away with .venv and what the tools left
# make pictures              the picture cards and the Urdu e-mail, into deploy/pictures
# make faults [ARGS=--list]  breaks a whole deployment and counts      (tests/faults/README.md)
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test faults services lint pictures clean

# This file's folder, wherever make was called from; the shell keeps spaces in it together.
MAKEFILE_DIR := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
export MAKEFILE_DIR
REGION ?= indus
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

help:
	@sed -n '1,5s/^# //p' "$$MAKEFILE_DIR/Makefile"

setup:
	@cd "$$MAKEFILE_DIR" && PYTHON="$(PYTHON)" ./deploy/setup.sh

setup-dev:
	@cd "$$MAKEFILE_DIR" && PYTHON="$(PYTHON)" ./deploy/setup.sh dev

demo: setup
	@cd "$$MAKEFILE_DIR" && .venv/bin/python -m warning demo --region "$(REGION)" $(ARGS)

test: setup-dev
	@cd "$$MAKEFILE_DIR" && .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

faults: setup-dev
	@cd "$$MAKEFILE_DIR" && .venv/bin/python -m tests.faults $(ARGS)

services:
	@"$$MAKEFILE_DIR/deploy/services/install.sh"

lint: setup-dev
	@cd "$$MAKEFILE_DIR" && .venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/yamllint --strict .

pictures: setup-dev
	@cd "$$MAKEFILE_DIR" && WARNING_PICTURES=deploy/pictures .venv/bin/python -m pytest -q tests/test_card.py tests/test_mail.py -k "card_small or real_browser"

clean:
	@cd "$$MAKEFILE_DIR" && rm -rf .venv build dist .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
