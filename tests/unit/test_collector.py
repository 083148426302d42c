"""The collector rests while something is made, and wakes as it was."""

from __future__ import annotations

import gc

import pytest

from calotype.core.collector import resting_collector


def test_the_collector_wakes_after_an_error():
    with pytest.raises(KeyError), resting_collector():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_slept_before_sleeps_on():
    with resting_collector():
        with resting_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
