"""An operator's parameters are those of its function, for the interpreter and for type checkers."""

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

import geotoolz as gz
from geotoolz.bands import Band
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.indices import EPS, NormalizedOperator, SpectralOperator, normalized_difference


def kinds(base):
    public = [getattr(gz, name) for name in gz.__all__]
    return [kind for kind in public if isinstance(kind, type) and issubclass(kind, base)]


def told(parameters):
    return [(p.name, p.default, p.kind) for p in parameters]


@pytest.mark.parametrize("kind", kinds(FunctionOperator))
def test_the_parameters_are_those_of_the_function_after_its_first(kind):
    function = inspect.getattr_static(kind, "__init__").function
    _, *expected = inspect.signature(function).parameters.values()
    found = list(inspect.signature(kind).parameters.values())
    assert told(found) == told(expected)
    assert [p.annotation for p in found] == [p.annotation for p in expected]


@pytest.mark.parametrize("kind", kinds(SpectralOperator))
def test_an_index_takes_the_bands_and_constants_of_its_formula_in_order(kind):
    formula = inspect.signature(kind._formula).parameters
    found = inspect.signature(kind).parameters
    bands = [name.removesuffix("_idx") for name in found if name.endswith("_idx")]
    assert bands == list(formula)[: len(bands)]
    assert list(found)[len(bands)] == "axis"
    rest = list(formula.values())[len(bands) :]
    assert told(list(found.values())[len(bands) + 1 :]) == told(rest)
    if kind is not gz.NormalizedDifference:
        assert [found[f"{name}_idx"].default for name in bands] == bands


def test_arguments_go_by_position_and_by_name_as_ever():
    assert gz.NDVI(2, 3, 0, 1e-10, "float32") == gz.NDVI(red_idx=2, nir_idx=3) != gz.NDVI()
    assert gz.EVI(0, 1, 2, 0, 2.0).g == 2.0
    assert repr(gz.Gamma(2.0)) == "Gamma(g=2.0, dtype='float32')"
    with pytest.raises(TypeError, match=r"Gamma.__init__\(\) missing 1 required .*'g'"):
        gz.Gamma()
    with pytest.raises(TypeError, match=r"NDVI.__init__\(\) got an unexpected .*'blue_idx'"):
        gz.NDVI(blue_idx=0)


class Brighter(gz.Gamma):
    """A subclass that keeps the parameters."""


class RedOnly(gz.NDVI):
    """A subclass with parameters of its own."""

    def __init__(self, nir_idx: Band) -> None:
        super().__init__(red_idx=0, nir_idx=nir_idx)


def test_subclasses_are_operators_of_their_own():
    assert Brighter(2.0) != gz.Gamma(2.0)
    assert isinstance(Brighter(2.0), gz.Gamma)
    assert pickle.loads(pickle.dumps(Brighter(2.0))) == Brighter(2.0)
    chip = np.array([[[0.25]], [[0.75]]])
    assert RedOnly(1)(chip) == gz.NDVI(0, 1)(chip)
    assert RedOnly(1).get_config() == {"nir_idx": 1}


def test_what_the_new_function_does_with_a_pixel_is_not_inherited():
    class Other(gz.Gamma):
        @parameters_of(gz.radiometry.min_max)
        def __init__(self) -> None: ...

    assert gz.Gamma(2.0).local
    assert not Other().local


def test_what_leaves_codes_alone_makes_as_many_bands_as_it_takes():
    kept = gz.Gamma(2.0), gz.PercentileClip(), gz.MinMax(), gz.StandardScale(), gz.FocalMean(3)
    assert [operator.bands_made(4) for operator in kept] == [4] * 5
    assert gz.Hillshade().bands_made(4) is None


def test_a_function_without_parameters():
    def doubled(raster):
        return raster * 2

    class Doubled(FunctionOperator):
        @parameters_of(doubled)
        def __init__(self) -> None: ...

    assert Doubled()(21) == 42


def test_an_index_is_its_formula_and_its_bands():
    def ndti(swir1, swir2, eps=EPS, dtype="float32"):
        return normalized_difference(swir1, swir2, eps, dtype)

    class NDTI(NormalizedOperator, formula=ndti):
        swir1_idx: Band = "swir1"
        swir2_idx: Band = "swir2"

    assert repr(NDTI()) == (
        "NDTI(swir1_idx='swir1', swir2_idx='swir2', axis=0, eps=1e-10, dtype='float32')"
    )
    assert NDTI(0, 1).local
    assert NDTI(0, 1)(np.array([[[0.75]], [[0.25]]])) == pytest.approx(0.5)


def test_fields_that_are_not_the_formulas_are_refused_when_the_class_is_made():
    def product(red, nir, L=0.5, dtype="float32"):
        return red * nir * L

    with pytest.raises(TypeError, match=r"the fields of Wrong must be those of product\(red, nir"):

        class Wrong(SpectralOperator, formula=product):
            nir_idx: Band = "nir"
            red_idx: Band = "red"
            L: float = 0.5

    with pytest.raises(TypeError, match="with the same values"):

        class Other(SpectralOperator, formula=product):
            red_idx: Band = "red"
            nir_idx: Band = "nir"
            L: float = 1.0


CALLS = '''
import numpy as np
import geotoolz.indices as gi
import geotoolz.radiometry as gr

class Mine(gi.NDVI):
    """A subclass."""

reveal_type(gi.NDVI)
reveal_type(gr.Gamma)
reveal_type(gi.EVI(red_idx="B04", g=2.0, axis=0).g)
reveal_type(Mine("B04", "B08", eps=0.0) | gr.Gamma(2.0))
gi.NDVI(blue_idx=0)
gi.NDVI(1.5)
gr.Gamma()
gr.DNToReflectance(scale="1")
gi.savi(np.zeros(2), np.ones(2), L=0.25)
'''


@pytest.mark.slow
def test_type_checkers_see_the_parameters(tmp_path):
    (tmp_path / "calls.py").write_text(CALLS)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--ignore-missing-imports", "calls.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    said = [line.split(":", 2)[2].strip() for line in done.stdout.splitlines()[:-1]]
    ndvi, gamma, *rest = said
    bands = "red_idx: int | str =, nir_idx: int | str ="
    rest_of_ndvi = "*, axis: int =, dtype: str =, eps: float =) -> geotoolz.indices.NDVI"
    assert ndvi == f'note: Revealed type is "def ({bands}, {rest_of_ndvi}"'
    assert gamma.startswith('note: Revealed type is "def (g: float, dtype: ')
    assert gamma.endswith(' =) -> geotoolz.radiometry.Gamma"')  # what a dtype may be, numpy says
    assert rest[:2] == [
        'note: Revealed type is "float"',
        'note: Revealed type is "pipekit.sequential.Sequential"',
    ]
    errors = [
        'Unexpected keyword argument "blue_idx" for "NDVI"',
        'Argument 1 to "NDVI" has incompatible type "float"; expected "int | str"',
        'Missing positional argument "g" in call to "Gamma"',
        'Argument "scale" to "DNToReflectance" has incompatible type "str"',
    ]
    assert len(rest[2:]) == len(errors)
    assert all(error in line for error, line in zip(errors, rest[2:], strict=True))
