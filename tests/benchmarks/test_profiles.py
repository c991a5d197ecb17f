"""Stages add up to the whole, and none is less than nothing."""

import pytest
from profiles import Profile, differences, drain, seconds


def test_stages_are_what_each_adds():
    stages = differences(reading__once=1.0, the_operator=3.0, noise=2.5, all_else=4.0)
    assert stages == {"reading, once": 1.0, "the operator": 2.0, "noise": 0.0, "all else": 1.0}
    assert Profile("path", stages, 2.0, "what").whole == 4.0


def test_work_is_run_once_to_warm_up_and_once_a_round():
    ran = []
    assert seconds(lambda: ran.append(1), rounds=3) >= 0
    assert len(ran) == 4


def test_patches_are_made_and_let_go_of():
    made = iter(range(3))
    drain(made)
    with pytest.raises(StopIteration):
        next(made)
