# Everything from nothing: Python, make and a package index are enough.
PYTHON ?= python3
PIP = .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check bench clean

demo: .venv/library  ## a picture from a prompt
	mkdir -p demo
	.venv/bin/calotype generate "a red circle on a blue background" -o demo/out.png --seed 1 --guidance 3

test: check  ## what CI runs
	scripts/test

check: .venv/tools
	scripts/check

bench: .venv/tools  ## ours and the peer's, in one run
	.venv/bin/python -m benchmarks

# torch first and pinned: a range would bring gigabytes that a CPU never uses
.venv/library: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable .
	touch $@

.venv/tools: .venv/library
	$(PIP) --group check --group test --group parity
	touch $@

clean:
	rm -rf .venv demo
