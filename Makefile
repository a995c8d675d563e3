.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GPU_VENV := .venv-gpu
# A folder with published weights, for machines that cannot reach their publisher.
WEIGHTS ?= $(wildcard ../shared/weights)

COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes \
	--strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
EXTRAS := --extra aws --extra models --extra service
# What the image has in another package already: these two would write over its files.
COLLIDING := --unsafe-package onnxruntime --unsafe-package opencv-python

.PHONY: help setup demo test check bench hostile fuzz soak lock man audit image image-gpu run sbom smoke gpu-check \
	transform-local pipeline-local probe-local clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready  ## Make .venv, fetch the default models and the media of demo and tests

demo: setup  ## Hide faces in two videos, in ./demo, and print where to look
	$(BIN)/python -m scripts.demo demo

test: setup  ## Run the tests; FAST=1 leaves out those that start processes or follow many faces
	$(BIN)/python -m pytest -n auto --dist loadfile $(if $(FAST),-m 'not slow')

check: $(VENV)/installed  ## Check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck scripts/*.sh .ci/run .ci/engine.sh

bench: setup  ## Measure everything and write docs/benchmarks.md; QUICK=1 for a quick run
	$(BIN)/python -m bench.report $(if $(QUICK),--quick)

hostile: setup  ## Try COUNT=3000 damaged files, from number START=0 on, and write docs/robustness.md
	$(BIN)/python -m bench.hostile --count $(or $(COUNT),3000) --start $(or $(START),0)

fuzz: setup .fuzz/library/installed  ## Fuzz our own readers, each for SECONDS=60; READERS="plan form" for some of them
	PYTHONPATH=.fuzz/library $(BIN)/python -m tests.fuzz.run --seconds $(or $(SECONDS),60) $(READERS)

soak: setup  ## Use the service for MINUTES=60 with good and bad requests, and check that it stays flat
	$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),60)

lock: $(VENV)/installed  ## Lock the dependencies again, after a change of pyproject.toml
	$(COMPILE) --allow-unsafe $(EXTRAS) --output-file requirements.txt pyproject.toml
	$(COMPILE) --allow-unsafe $(EXTRAS) --extra dev --constraint requirements.txt \
		--output-file requirements-dev.txt pyproject.toml
	$(COMPILE) $(COLLIDING) $(EXTRAS) --constraint requirements.txt \
		--output-file requirements-gpu.txt pyproject.toml requirements-gpu.in
	$(COMPILE) $(COLLIDING) $(EXTRAS) --extra dev --constraint requirements-dev.txt \
		--constraint requirements-gpu.txt --output-file requirements-gpu-dev.txt \
		pyproject.toml requirements-gpu.in
	$(COMPILE) $(COLLIDING) --constraint requirements-dev.txt \
		--output-file requirements-insightface.txt requirements-insightface.in
	$(COMPILE) --allow-unsafe --output-file bench/requirements-deface.txt bench/requirements-deface.in
	$(COMPILE) --allow-unsafe --output-file scripts/requirements-audit.txt scripts/requirements-audit.in
	$(COMPILE) --output-file tests/fuzz/requirements.txt tests/fuzz/requirements.in
	$(COMPILE) --output-file examples/sagemaker_sdk/requirements.txt \
		examples/sagemaker_sdk/requirements.in

man: $(VENV)/installed  ## Write the manual page, build/face-blur.1; read it with: man -l build/face-blur.1
	mkdir -p build
	$(BIN)/argparse-manpage --module app.cli.parser --function make_parser --prog face-blur \
		--project-name 'Face blur' --description "hide chosen people's faces in videos and images" \
		--manual-title 'User Commands' --output build/face-blur.1

audit: $(VENV)/installed  ## Look for known vulnerabilities of the packages; STRICT=1 fails if that is impossible
	$(BIN)/python -m scripts.audit $(if $(STRICT),--strict)

image:  ## Build the image for CPUs, face-blur:cpu
	scripts/image.sh build cpu

image-gpu:  ## Build the image for NVIDIA GPUs, face-blur:cuda
	scripts/image.sh build cuda

run:  ## Run the image for CPUs on port 8080
	scripts/image.sh run cpu

sbom: setup  ## Build the image for CPUs and write its bill of materials, ./sbom.json
	scripts/image.sh sbom cpu sbom.json

smoke: setup  ## Build the image for CPUs, and test it
	scripts/image.sh smoke cpu

gpu-check: setup $(GPU_VENV)/installed  ## On a machine with an NVIDIA GPU: test and measure it
	FACE_BLUR_GPU_CHECK=1 $(GPU_VENV)/bin/python -m pytest tests/gpu/test_gpu.py
	$(GPU_VENV)/bin/python -m bench.gpu
	FACE_BLUR_GPU_CHECK=1 $(GPU_VENV)/bin/python -m pytest -rs tests/gpu/test_nvenc.py

transform-local: setup  ## Run a transform job without an AWS account, in ./transform-local
	$(BIN)/python -m scripts.transform_local

pipeline-local: setup  ## Run the pipeline without an AWS account, in ./pipeline-local
	$(BIN)/python -m scripts.pipeline_local

probe-local: setup  ## Make the first run of scripts/probe.py without an AWS account
	$(BIN)/python -m scripts.probe_local

clean:  ## Delete build outputs; downloads stay in the cache
	rm -rf $(VENV) $(GPU_VENV) .fuzz demo transform-local pipeline-local build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app models scripts bench tests testmedia -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: requirements-dev.txt requirements-insightface.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is needed: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes \
		-r requirements-insightface.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/ready: $(VENV)/installed testmedia/fetch.py $(wildcard models/*/pack.toml)
	$(BIN)/face-blur models fetch auto $(if $(WEIGHTS),--from $(WEIGHTS))
	$(BIN)/face-blur models fetch dlib
	$(BIN)/python -m testmedia.fetch
	@touch $@

# Beside the environment of the tests, which does not need it.
.fuzz/library/installed: tests/fuzz/requirements.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --upgrade \
		--target .fuzz/library -r tests/fuzz/requirements.txt
	@touch $@

# No GPU, no gigabytes of libraries for one.
$(GPU_VENV)/installed: requirements-gpu-dev.txt pyproject.toml
	@test -e /dev/nvidiactl || { echo 'gpu-check: there is no NVIDIA GPU here' >&2; exit 1; }
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes \
		-r requirements-gpu-dev.txt
	$(GPU_VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation \
		--editable .
	@touch $@
