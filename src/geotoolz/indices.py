"""Spectral indices: pure functions of bands, and operators that find their bands.

Bands are given by index (`NDVI(red_idx=2, nir_idx=3)`), by name (`NDVI("B04", "B08")`), or not at
all: the defaults are common names (`"red"`, `"nir"`), looked up in the carrier's
`attrs["band_names"]`. Values are meant to be reflectances; a plain ratio of digital numbers is the
same only when no offset is in them, and an index with constants (EVI, SAVI) never is.

Output is floats, float32 by default, with the band axis removed: (C, H, W) gives (H, W). Nodata in
any band used is NaN in the result. Normalised differences add `eps` to the denominator, so that
0/0 is 0; with `eps=0`, and in every other index, 0/0 is NaN and x/0 is infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import Band, band_names, check_band, take_bands
from geotoolz.carrier import NAN, Raster, fill_mask, fill_of, float_dtype, rewrap
from pipekit import Operator


def apply_index(
    raster: Raster,
    formula: Callable[..., NDArray[Any]],
    bands: Sequence[Band],
    axis: int = 0,
    dtype: DTypeLike = "float32",
    name: str = "index",
) -> Raster:
    """Take bands from a raster, call `formula` on them as floats, and wrap the result.

    - `raster`: (C, H, W) with the bands on `axis`.
    - `formula`: takes as many float arrays (H, W) as there are `bands`, returns a new one.
    - `name`: what the result is called in `attrs["long_name"]`.

    Nodata in any of the bands becomes NaN.

    >>> apply_index(np.ones((2, 1, 1)), lambda a, b: a + b, [0, 1])
    array([[2.]], dtype=float32)
    """
    taken = take_bands(raster, bands, axis)
    out = formula(*float_bands(dtype, *taken))
    fill = fill_of(raster)
    if fill is not None and fill == fill:
        for each in taken:
            invalid = fill_mask(each, fill)
            if invalid is not None:
                out[invalid] = np.nan
    attrs = {"long_name": name, "units": ""}
    return rewrap(raster, out, fill=NAN, attrs=attrs, drop=("band_names", "stretch"))


def float_bands(dtype: DTypeLike, *bands: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the bands as floats of `dtype`, those that already are without a copy.

    Raises ValueError when their shapes differ.

    >>> [b.dtype.name for b in float_bands("float32", np.ones(2, "uint8"), np.ones(2))]
    ['float32', 'float32']
    """
    kind = float_dtype(dtype)
    shape = bands[0].shape
    for band in bands:
        if band.shape != shape:
            raise ValueError(f"the bands must have one shape, got {[b.shape for b in bands]}")
    return [band if band.dtype == kind else band.astype(kind) for band in bands]


@dataclass(repr=False, eq=False)
class SpectralOperator(Operator):
    """An operator over a function of bands.

    A subclass is a dataclass (without its own `repr` and `eq`: operators print and compare by their
    config) that names its function and lists its arguments. Those that end in `_idx` are bands, in
    the function's order; those other than `axis` and `dtype` are the function's constants.
    """

    local = True

    _formula: ClassVar[Callable[..., NDArray[Any]]]

    def __post_init__(self) -> None:
        self._bands: list[str] = []
        self._constants: list[str] = []
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name.endswith("_idx"):
                check_band(value, name)
                self._bands.append(name)
            elif name == "dtype":
                float_dtype(value)
            elif name != "axis":
                if not np.isfinite(value):
                    raise ValueError(f"{name} must be a finite number, got {value}")
                self._constants.append(name)

    def _apply(self, raster: Raster) -> Raster:
        own = self.__dict__
        constants = {name: own[name] for name in self._constants}
        formula = partial(type(self)._formula, dtype=own["dtype"], **constants)
        bands = [own[name] for name in self._bands]
        return apply_index(raster, formula, bands, own["axis"], own["dtype"], type(self).__name__)


EPS = 1e-10
"""Added to denominators of normalised differences: too small to change any real reflectance."""

Values = NDArray[Any]


def normalized_difference(
    a: Values, b: Values, eps: float = EPS, dtype: DTypeLike = "float32"
) -> Values:
    """Return (a - b) / (a + b + eps).

    - `a`, `b`: arrays of one shape, any numeric dtype; taken as floats, so nothing wraps.

    Returns floats of `dtype`, -1 to 1 where both are non-negative. Raises ValueError when the
    shapes differ.

    >>> normalized_difference(np.array([3, 0], "uint8"), np.array([1, 0], "uint8"))
    array([0.5, 0. ], dtype=float32)
    """
    a, b = float_bands(dtype, a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(a, b)
        total = np.add(a, b)
        if eps:
            np.add(total, eps, out=total)
        return np.divide(out, total, out=out)


def ndvi(red: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the vegetation index (nir - red) / (nir + red + eps).

    Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS.

    >>> ndvi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, red, eps, dtype)


def ndwi(green: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the open-water index (green - nir) / (green + nir + eps).

    McFeeters (1996), doi:10.1080/01431169608948714.

    >>> ndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, nir, eps, dtype)


def mndwi(green: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the modified open-water index (green - swir1) / (green + swir1 + eps).

    Xu (2006), doi:10.1080/01431160600589179.

    >>> mndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, swir1, eps, dtype)


def nbr(nir: Values, swir2: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the burn ratio (nir - swir2) / (nir + swir2 + eps).

    Key and Benson (2006), FIREMON, USDA RMRS-GTR-164; Lopez Garcia and Caselles (1991).

    >>> nbr(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, swir2, eps, dtype)


def ndmi(nir: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the vegetation moisture index (nir - swir1) / (nir + swir1 + eps).

    Gao (1996), doi:10.1016/S0034-4257(96)00067-3, on the 1.6 um band.

    >>> ndmi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, swir1, eps, dtype)


def ndsi(green: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the snow index (green - swir1) / (green + swir1 + eps).

    Hall, Riggs and Salomonson (1995), doi:10.1016/0034-4257(95)00137-P; snow above about 0.4.

    >>> ndsi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, swir1, eps, dtype)


def gndvi(nir: Values, green: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the green vegetation index (nir - green) / (nir + green + eps).

    Gitelson, Kaufman and Merzlyak (1996), doi:10.1016/S0034-4257(96)00072-7.

    >>> gndvi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, green, eps, dtype)


def ndre(nir: Values, rededge1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the red-edge vegetation index (nir - rededge1) / (nir + rededge1 + eps).

    Gitelson and Merzlyak (1994), doi:10.1016/1011-1344(93)06963-4; spyndex calls it NDREI.

    >>> ndre(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, rededge1, eps, dtype)


def evi(
    blue: Values,
    red: Values,
    nir: Values,
    g: float = 2.5,
    c1: float = 6.0,
    c2: float = 7.5,
    L: float = 1.0,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the enhanced vegetation index.

    g (nir - red) / (nir + c1 red - c2 blue + L).

    Huete et al. (2002),
    doi:10.1016/S0034-4257(02)00096-2, with the MODIS coefficients. Needs reflectances.

    >>> evi(np.array([0.0]), np.array([0.25]), np.array([0.5]))
    array([0.20833333], dtype=float32)
    """
    blue, red, nir = float_bands(dtype, blue, red, nir)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(nir, red)
        np.multiply(out, g, out=out)
        total = np.multiply(red, c1)
        np.add(total, nir, out=total)
        np.subtract(total, np.multiply(blue, c2), out=total)
        np.add(total, L, out=total)
        return np.divide(out, total, out=out)


def savi(red: Values, nir: Values, L: float = 0.5, dtype: DTypeLike = "float32") -> Values:
    """Return the soil-adjusted vegetation index.

    (1 + L) (nir - red) / (nir + red + L).

    Huete (1988), doi:10.1016/0034-4257(88)90106-X.
    `L` is 0 for dense cover (then it is the NDVI), 1 for bare soil. Needs reflectances.

    >>> savi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    red, nir = float_bands(dtype, red, nir)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(nir, red)
        np.multiply(out, 1.0 + L, out=out)
        total = np.add(nir, red)
        np.add(total, L, out=total)
        return np.divide(out, total, out=out)


def bsi(
    blue: Values,
    red: Values,
    nir: Values,
    swir1: Values,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the bare-soil index.

    ((swir1 + red) - (nir + blue)) / ((swir1 + red) + (nir + blue) + eps).

    Rikimaru, Roy and
    Miyatake (2002), Tropical Ecology 43, 39-47; spyndex calls it BI.

    >>> bsi(np.array([0.25]), np.array([0.5]), np.array([0.25]), np.array([1.0]))
    array([0.5], dtype=float32)
    """
    blue, red, nir, swir1 = float_bands(dtype, blue, red, nir, swir1)
    with np.errstate(invalid="ignore"):
        return normalized_difference(swir1 + red, nir + blue, eps, dtype)


def bais2(
    rededge2: Values,
    rededge3: Values,
    nir08: Values,
    red: Values,
    swir2: Values,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the burned area index for Sentinel-2.

    (1 - sqrt(rededge2 rededge3 nir08 / red)) ((swir2 - nir08) / sqrt(swir2 + nir08) + 1).

    Filipponi (2018), doi:10.3390/ecrs-2-05177: bands B06, B07, B8A, B04, B12. Needs
    reflectances.

    >>> bais2(np.array([0.5]), np.array([0.5]), np.array([0.5]), np.array([0.5]), np.array([0.5]))
    array([0.5], dtype=float32)
    """
    rededge2, rededge3, nir08, red, swir2 = float_bands(
        dtype, rededge2, rededge3, nir08, red, swir2
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.multiply(rededge2, rededge3)
        np.multiply(out, nir08, out=out)
        np.divide(out, red, out=out)
        np.sqrt(out, out=out)
        np.subtract(1.0, out, out=out)
        contrast = np.subtract(swir2, nir08)
        total = np.add(swir2, nir08)
        np.divide(contrast, np.sqrt(total, out=total), out=contrast)
        np.add(contrast, 1.0, out=contrast)
        return np.multiply(out, contrast, out=out)


def arvi(
    blue: Values,
    red: Values,
    nir: Values,
    gamma: float = 1.0,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the atmospherically resistant vegetation index.

    (nir - rb) / (nir + rb + eps) with rb = red - gamma (red - blue).

    Kaufman and Tanre
    (1992), doi:10.1109/36.134076.

    >>> arvi(np.array([0.25]), np.array([0.5]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    blue, red, nir = float_bands(dtype, blue, red, nir)
    with np.errstate(invalid="ignore"):
        rb = np.subtract(blue, red)
        np.multiply(rb, gamma, out=rb)
        np.add(rb, red, out=rb)
    return normalized_difference(nir, rb, eps, dtype)


@dataclass(repr=False, eq=False)
class NormalizedDifference(SpectralOperator):
    """(a - b) / (a + b + eps) of any two bands: `normalized_difference` as an operator.

    >>> import numpy as np
    >>> NormalizedDifference(0, 1)(np.array([[[3.0]], [[1.0]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = normalized_difference

    a_idx: Band
    b_idx: Band
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class NDVI(SpectralOperator):
    """Vegetation index (nir - red) / (nir + red + eps): `ndvi` as an operator.

    >>> NDVI(red_idx=2, nir_idx=3)
    NDVI(red_idx=2, nir_idx=3, axis=0, eps=1e-10, dtype='float32')
    >>> import numpy as np
    >>> NDVI(0, 1)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = ndvi

    red_idx: Band = "red"
    nir_idx: Band = "nir"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class NDWI(SpectralOperator):
    """Open-water index (green - nir) / (green + nir + eps): `ndwi` as an operator.

    >>> import numpy as np
    >>> NDWI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = ndwi

    green_idx: Band = "green"
    nir_idx: Band = "nir"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class MNDWI(SpectralOperator):
    """Modified open-water index (green - swir1) / (green + swir1 + eps): `mndwi` as an operator.

    >>> import numpy as np
    >>> MNDWI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = mndwi

    green_idx: Band = "green"
    swir1_idx: Band = "swir1"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class NBR(SpectralOperator):
    """Burn ratio (nir - swir2) / (nir + swir2 + eps): `nbr` as an operator.

    >>> import numpy as np
    >>> NBR(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = nbr

    nir_idx: Band = "nir"
    swir2_idx: Band = "swir2"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class NDMI(SpectralOperator):
    """Vegetation moisture index (nir - swir1) / (nir + swir1 + eps): `ndmi` as an operator.

    >>> import numpy as np
    >>> NDMI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = ndmi

    nir_idx: Band = "nir"
    swir1_idx: Band = "swir1"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class NDSI(SpectralOperator):
    """Snow index (green - swir1) / (green + swir1 + eps): `ndsi` as an operator.

    >>> import numpy as np
    >>> NDSI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = ndsi

    green_idx: Band = "green"
    swir1_idx: Band = "swir1"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class GNDVI(SpectralOperator):
    """Green vegetation index (nir - green) / (nir + green + eps): `gndvi` as an operator.

    >>> import numpy as np
    >>> GNDVI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = gndvi

    nir_idx: Band = "nir"
    green_idx: Band = "green"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class NDRE(SpectralOperator):
    """Red-edge vegetation index (nir - rededge1) / (nir + rededge1 + eps): `ndre` as an operator.

    >>> import numpy as np
    >>> NDRE(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = ndre

    nir_idx: Band = "nir"
    rededge1_idx: Band = "rededge1"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class EVI(SpectralOperator):
    """Enhanced vegetation index: `evi` as an operator.

    >>> import numpy as np
    >>> EVI(0, 1, 2)(np.array([[[0.0]], [[0.25]], [[0.5]]]))
    array([[0.20833333]], dtype=float32)
    """

    _formula = evi

    blue_idx: Band = "blue"
    red_idx: Band = "red"
    nir_idx: Band = "nir"
    axis: int = 0
    g: float = 2.5
    c1: float = 6.0
    c2: float = 7.5
    L: float = 1.0
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class SAVI(SpectralOperator):
    """Soil-adjusted vegetation index: `savi` as an operator.

    >>> import numpy as np
    >>> SAVI(0, 1)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = savi

    red_idx: Band = "red"
    nir_idx: Band = "nir"
    axis: int = 0
    L: float = 0.5
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class BSI(SpectralOperator):
    """Bare-soil index: `bsi` as an operator.

    >>> import numpy as np
    >>> BSI(0, 1, 2, 3)(np.array([[[0.25]], [[0.5]], [[0.25]], [[1.0]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = bsi

    blue_idx: Band = "blue"
    red_idx: Band = "red"
    nir_idx: Band = "nir"
    swir1_idx: Band = "swir1"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class BAIS2(SpectralOperator):
    """Burned area index for Sentinel-2: `bais2` as an operator.

    >>> import numpy as np
    >>> BAIS2(0, 1, 2, 3, 4)(np.array([[[0.5]], [[0.5]], [[0.5]], [[0.5]], [[0.5]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = bais2

    rededge2_idx: Band = "rededge2"
    rededge3_idx: Band = "rededge3"
    nir08_idx: Band = "nir08"
    red_idx: Band = "red"
    swir2_idx: Band = "swir2"
    axis: int = 0
    dtype: str = "float32"


@dataclass(repr=False, eq=False)
class ARVI(SpectralOperator):
    """Atmospherically resistant vegetation index: `arvi` as an operator.

    >>> import numpy as np
    >>> ARVI(0, 1, 2)(np.array([[[0.25]], [[0.5]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    _formula = arvi

    blue_idx: Band = "blue"
    red_idx: Band = "red"
    nir_idx: Band = "nir"
    axis: int = 0
    gamma: float = 1.0
    eps: float = EPS
    dtype: str = "float32"


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
