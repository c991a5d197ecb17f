"""Errors of workers: the class, the text, the notes and the place arrive."""

import json
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import cloudpickle
import pytest
import rasterio

import pipekit as pk
from pipekit.schedulers import Answer, WorkerError, result_or_failure, scheduling

# As from a notebook: worker processes cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class OwnArgumentsError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class NamedError(ValueError):
    def __init__(self, *, text):
        self.text = text

    def __str__(self):
        return f"it is {self.text}"


class HoldingError(OSError):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def caused():
    try:
        rasterio.open("/no/such.tif")
    except OSError as error:
        error.add_note("of the scene")
        raise


def raise_(error):
    raise error


MAKERS = {
    "own arguments": lambda: raise_(OwnArgumentsError(3, "bad")),
    "keywords": lambda: raise_(NamedError(text="bad")),
    "holds a lock": lambda: raise_(HoldingError("bad")),
    "of GDAL": caused,
    "own reduce": lambda: json.loads("{"),
    "plain": lambda: raise_(KeyError("x")),
    "of the system": lambda: Path("/no/such/file").stat(),
}


def run(name):
    try:
        MAKERS[name]()
    except Exception as error:
        error.add_note("in the part of it")
        raise


def error_of(name):
    try:
        run(name)
    except Exception as error:
        return error


@pytest.fixture(scope="module", params=["processes", "dask"])
def chosen(request):
    with scheduling(request.param, 1, run) as scheduler:
        yield scheduler


@pytest.mark.parametrize("name", MAKERS)
def test_an_error_of_a_worker_is_the_one_that_was_raised(chosen, name):
    here = error_of(name)
    with pytest.raises(type(here)) as there:
        chosen.submit(name).result()
    assert str(there.value) == str(here)
    assert there.value.__notes__ == here.__notes__
    assert isinstance(there.value.__cause__, WorkerError)
    assert "in run" in str(there.value.__cause__)
    assert getattr(there.value, "code", 3) == 3


def run_if(name):
    return run(name) if name else name


@pytest.mark.parametrize("name", MAKERS)
def test_an_error_of_a_mapped_operator_arrives(name):
    here = error_of(name)
    with pytest.raises(type(here)) as there:
        pk.ProcessMap(pk.Lambda(run_if), workers=1, start_method="fork")([None, name])
    assert str(there.value) == str(here)
    assert there.value.__notes__[-1] == "failed on item 1 of the sequence"


class LockedError(Exception):
    def __init__(self):
        self.lock = threading.Lock()

    def __str__(self):
        return f"locked: {self.lock.locked()}"


def test_an_error_that_cannot_travel_says_its_name():
    future = Future()
    future.set_result(result_or_failure(lambda: raise_(LockedError())))
    with pytest.raises(RuntimeError, match=r"^LockedError: locked: False$"):
        Answer(future).result()
