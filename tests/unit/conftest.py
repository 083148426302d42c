from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Verdicts about files are kept apart from those of whoever runs the tests."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path_factory.mktemp("cache")))
