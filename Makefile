# Two commands matter: `make run` shows mail on its way through all three daemons, `make test` proves that it works.
# Everything lands in .venv and .peers; `make clean` removes both.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := shared mercury_s mercury_c mercury_e tests benchmarks package

.PHONY: run test lint bench curves proof reference docs peers packages deb constraints clean
.DEFAULT_GOAL := run

run: $(VENV)/.ready-to-run
	@exec $(BIN)/mercury demo $(ARGS)

#  Compiled once, as the tests start some hundred processes, and may do so where nobody writes bytecode.
test: $(VENV)/.ready-to-test peers lint
	@$(BIN)/python -m compileall -q shared mercury_s mercury_c mercury_e
	$(BIN)/python -m pytest -n 4 --dist loadfile $(ARGS)

lint: $(VENV)/.ready-to-test
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

# Side by side with Postfix on the same disk in the same run: a table of figures and ratios, and benchmarks/ratios.svg.
bench: $(VENV)/.ready-to-test
	@tests/peers.sh gcc
	$(BIN)/python benchmarks/run.py $(or $(ARGS),--picture benchmarks/ratios.svg)

# How cost grows with sessions, size, recipients, queue length and workers, as a table and as benchmarks/curves.svg.
curves: $(VENV)/.ready-to-test
	@tests/peers.sh gcc
	$(BIN)/python benchmarks/curves.py $(or $(ARGS),--picture benchmarks/curves.svg)

# That nothing acknowledged is ever lost: thirty minutes of kills, power cuts, full disks and hostile peers, and a table of
# what each showed. ARGS="R-03 R-08" runs these rows only. docs/proof.md says what the rows mean. Then the services
# under a booted systemd.
proof: $(VENV)/.ready-to-test peers
	@tests/peers.sh faketime ip:iproute2 mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs chromium prometheus
	@tests/peers.sh '?qemu-system-x86_64:qemu-system-x86' '?mmdebstrap' '?busybox:busybox-static' '?cpio' '?modprobe:kmod'
	@$(BIN)/python tests/proof/run.py $(ARGS)
	@[ -n "$(ARGS)" ] || $(BIN)/python -m pytest -q -m proof tests/booted tests/packages tests/endtoend/test_web_browser.py tests/endtoend/test_prometheus.py

# sdist, wheel and Debian package, into dist/; the same files give the same bytes (docs/packages.md).
packages: deb
	@build/tools/bin/python package/dist.py dist

deb:
	@package/environment
	@build/tools/bin/python package/deb.py dist

# The newest versions of what the packages bring along and are built with.
constraints:
	@package/renew

# The pages of docs/ that are written from the code.
reference: $(VENV)/.ready-to-run
	PYTHONPATH=. $(BIN)/python docs/reference.py

# docs/ as HTML and man pages, in build/docs.
docs: $(VENV)/.ready-to-docs reference
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs/html
	$(BIN)/sphinx-build -q -W --keep-going -b man docs build/docs/man
	@echo "build/docs/html/index.html, build/docs/man"

# The pictures of the status page in docs/.
pictures: $(VENV)/.ready-to-test peers
	@tests/peers.sh chromium
	$(BIN)/python docs/pictures.py

peers:
	@tests/peers.sh

$(VENV)/.ready-to-run: setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" .ci/venv $(VENV) ""
	@touch $@

$(VENV)/.ready-to-test: setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" .ci/venv $(VENV) "[test]"
	@touch $@ $(VENV)/.ready-to-run

$(VENV)/.ready-to-docs: setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" .ci/venv $(VENV) "[docs]"
	@touch $@ $(VENV)/.ready-to-run

clean:
	rm -rf $(VENV) .peers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
