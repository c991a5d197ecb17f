"""Training and evaluation mode."""

import threading

import pytest

import pipekit as pk

gated = pk.ModeGated(pk.Lambda(lambda x: x + 100), mode="train")


def test_the_mode_is_scoped_and_never_sticky():
    assert gated(1) == 1
    with pk.pipeline_mode("train"):
        assert gated(1) == 101
        with pk.pipeline_mode("eval"):
            assert gated(1) == 1
        assert pk.current_mode() == "train"
    with pytest.raises(RuntimeError), pk.pipeline_mode("train"):
        raise RuntimeError
    assert pk.current_mode() == "eval"


def test_a_plain_thread_has_its_own_mode_and_a_thread_map_the_caller_s():
    seen = []
    with pk.pipeline_mode("train"):
        thread = threading.Thread(target=lambda: seen.append(pk.current_mode()))
        thread.start()
        thread.join()
        assert pk.ThreadMap(gated, workers=2)([1, 2]) == [101, 102]
    assert seen == ["eval"]


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"mode must be one of .*'training'"):
        pk.ModeGated(pk.Identity(), mode="training")
    with pytest.raises(ValueError, match="mode must be one of"), pk.pipeline_mode("test"):
        pass
