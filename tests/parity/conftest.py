"""The peer is the oracle here: its warnings and its noise are not ours to mend."""

import os

import pytest

os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/parity" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
