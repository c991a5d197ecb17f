"""Every spectral index of the Awesome Spectral Indices catalogue, by name, through spyndex."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import Band, band_names, check_band
from geotoolz.carrier import Raster, float_dtype
from geotoolz.index_operator import apply_index, float_bands
from pipekit import Operator

# spyndex's letters for bands, as the common names that `geotoolz.bands` looks up.
SPYNDEX_BANDS: Mapping[str, str] = {
    "A": "coastal",
    "B": "blue",
    "G": "green",
    "R": "red",
    "RE1": "rededge1",
    "RE2": "rededge2",
    "RE3": "rededge3",
    "N": "nir",
    "N2": "nir08",
    "WV": "nir09",
    "S1": "swir1",
    "S2": "swir2",
}


class IndexRecipe(NamedTuple):
    """What an index needs: bands, constants with their defaults, kernel terms, and the formula."""

    bands: tuple[str, ...]
    constants: Mapping[str, float | None]
    kernels: tuple[str, ...]
    formula: str


@lru_cache(maxsize=512)
def index_recipe(name: str) -> IndexRecipe:
    """Return what the index `name` is made of; ValueError with near names for an unknown one.

    >>> index_recipe("SAVI").bands, dict(index_recipe("SAVI").constants)
    (('N', 'R'), {'L': 1.0})
    """
    import spyndex

    if name not in spyndex.indices:
        from difflib import get_close_matches

        near = get_close_matches(name, list(spyndex.indices), n=5, cutoff=0.4)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"spyndex has no index {name!r}{hint}")
    entry = spyndex.indices[name]
    known = spyndex.constants
    constants = {each: known[each].default for each in entry.bands if each in known}
    kernels = tuple(each for each in entry.bands if each not in known and each[0] == "k")
    # A kernel term such as kNL is k(N, L): it takes bands and constants of its own.
    inner = [letter for term in kernels for letter in term[1:]]
    constants |= {each: known[each].default for each in inner if each in known}
    bands = [each for each in entry.bands if each not in constants and each not in kernels]
    bands += [each for each in inner if each not in constants]
    return IndexRecipe(tuple(dict.fromkeys(bands)), constants, kernels, entry.formula)


def spectral_index(
    name: str, bands: Mapping[str, NDArray[Any]], dtype: DTypeLike = "float32", **constants: float
) -> NDArray[Any]:
    """Compute any index of spyndex from its bands.

    - `name`: such as "NDVI" or "kNDVI"; the list is at awesome-ee-spectral-indices.readthedocs.io.
    - `bands`: an array for each of spyndex's letters that the formula has, all of one shape.
    - `constants`: of the formula, in place of spyndex's defaults; central wavelengths (`lambdaN`,
      nm) have none. Kernel indices use the radial basis function, with `sigma` the mean of
      the two bands unless given (Camps-Valls et al. 2021, doi:10.1126/sciadv.abc7447).

    Returns floats of `dtype`; 0/0 is NaN. Raises ValueError for an unknown index, a missing band or
    a missing constant.

    >>> spectral_index("NDVI", {"N": np.array([0.75]), "R": np.array([0.25])})
    array([0.5], dtype=float32)
    """
    import spyndex

    recipe = index_recipe(name)
    missing = [each for each in recipe.bands if each not in bands]
    if missing:
        raise ValueError(f"{name} = {recipe.formula} needs the bands {missing} too")
    taken = dict(
        zip(recipe.bands, float_bands(dtype, *(bands[b] for b in recipe.bands)), strict=True)
    )
    params: dict[str, Any] = taken | _constants(name, recipe, constants)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for term in recipe.kernels:
            a, b = params[term[1]], params[term[2]]
            sigma = constants.get("sigma", (a + b) / 2)
            params[term] = spyndex.computeKernel("RBF", {"a": a, "b": b, "sigma": sigma})
        out = spyndex.computeIndex(name, params)
    return np.asarray(out, float_dtype(dtype))


def _constants(
    name: str, recipe: IndexRecipe, given: Mapping[str, float]
) -> dict[str, float | None]:
    accepted = {*recipe.constants, *(("sigma",) if recipe.kernels else ())}
    unknown = sorted(set(given) - accepted)
    if unknown:
        raise ValueError(
            f"{name} has no constant {', '.join(unknown)}; it has {sorted(accepted) or 'none'}"
        )
    constants = {**recipe.constants, **{k: v for k, v in given.items() if k in recipe.constants}}
    missing = [each for each, value in constants.items() if value is None]
    if missing:
        raise ValueError(
            f"{name} = {recipe.formula} needs {', '.join(missing)}, which have no default; "
            f"give for example {missing[0]}=... (wavelengths in nm)"
        )
    return constants


class SpectralIndex(Operator):
    """Any index of spyndex by name: `spectral_index` as an operator.

    - `bands`: spyndex's letters to band indices or names, such as `{"N": 3, "R": "B04"}`; letters
      left out are looked up by their common names.
    - `constants`: of the formula.

    >>> SpectralIndex("SAVI", bands={"R": 0, "N": 1}, L=0.5)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    local = True

    def __init__(
        self,
        name: str,
        bands: Mapping[str, Band] | None = None,
        axis: int = 0,
        dtype: str = "float32",
        **constants: float,
    ) -> None:
        recipe = index_recipe(name)
        for letter, band in (bands or {}).items():
            check_band(band, f"bands[{letter!r}]")
        unused = sorted(set(bands or {}) - set(recipe.bands))
        if unused:
            raise ValueError(
                f"{name} = {recipe.formula} has no band {unused}; it has {recipe.bands}"
            )
        float_dtype(dtype)
        _constants(name, recipe, constants)
        self.name = name
        self.bands = None if bands is None else dict(bands)
        self.axis = axis
        self.dtype = dtype
        self.constants = constants

    def _apply(self, raster: Raster) -> Raster:
        letters = index_recipe(self.name).bands
        names = band_names(raster)
        given = self.bands or {}
        found = [given.get(x, x if x in names else SPYNDEX_BANDS.get(x, x)) for x in letters]

        def formula(*bands: NDArray[Any]) -> NDArray[Any]:
            taken = dict(zip(letters, bands, strict=True))
            return spectral_index(self.name, taken, self.dtype, **self.constants)

        return apply_index(raster, formula, found, self.axis, self.dtype, self.name)
