"""Spectral indices: each is a pure function of bands, and an operator that finds the bands.

Bands are given by index (`NDVI(red_idx=2, nir_idx=3)`), by name (`NDVI("B04", "B08")`), or not at
all: the defaults are common names (`"red"`, `"nir"`), looked up in the carrier's
`attrs["band_names"]`. Values are meant to be reflectances; a plain ratio of digital numbers is the
same only when no offset is in them, and an index with constants (EVI, SAVI) never is.

Output is floats, float32 by default, with the band axis removed: (C, H, W) gives (H, W). Nodata in
any band used is NaN in the result. Normalised differences add `eps` to the denominator, so that
0/0 is 0; with `eps=0`, and in every other index, 0/0 is NaN and x/0 is infinite.

To add an index, write its formula as a function and its bands as a class, as below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from inspect import Parameter, get_annotations, signature
from typing import Any, ClassVar, NamedTuple, dataclass_transform

import numpy as np
from numpy.typing import DTypeLike

from geotoolz.bands import ALIASES, Band, band_names, take_bands
from geotoolz.carrier import (
    NAN,
    Raster,
    Values,
    carry_nodata,
    check_place,
    check_real,
    fill_of,
    float_dtype,
    joint_attrs,
    place_of,
    rewrap,
    values_of,
)
from geotoolz.function_operator import check_band, constructor
from pipekit.lazy import needed
from pipekit.operator import Operator, checked_number

EPS = 1e-10
"""Added to denominators of normalised differences: too small to change any real reflectance."""


@dataclass_transform(eq_default=False)
class _BandFields(Operator):
    """Makes the constructor of an index; type checkers read the fields of its class instead."""

    takes_batches = False

    _formula: ClassVar[Callable[..., Values]]
    _bands: ClassVar[list[str]]
    _rest: ClassVar[list[str]]

    def __init_subclass__(cls, formula: Callable[..., Values] | None = None, **kwargs: Any) -> None:
        if formula is not None:
            cls._formula, cls.radius = formula, 0
            cls._bands = [name for name in get_annotations(cls) if name.endswith("_idx")]
            taken = list(signature(formula).parameters.values())
            bands, rest = taken[: len(cls._bands)], taken[len(cls._bands) :]
            cls._rest = [p.name for p in rest]
            named = cls._bands == [f"{p.name}_idx" for p in bands]
            if not named or any(getattr(cls, p.name, None) != p.default for p in rest):
                raise TypeError(
                    f"the fields of {cls.__name__} must be those of {formula.__name__}"
                    f"{signature(formula)}: its bands, each ending in _idx, then its constants "
                    "with the same values"
                )
            indices = [
                p.replace(name=name, default=cls.__dict__.get(name, p.empty), annotation=Band)
                for name, p in zip(cls._bands, bands, strict=True)
            ]
            axis = Parameter("axis", Parameter.POSITIONAL_OR_KEYWORD, default=0, annotation=int)
            made = constructor([*indices, axis, *rest], _check_arguments, formula)
            made.__qualname__ = f"{cls.__qualname__}.__init__"
            cls.__init__ = made  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)


def _check_arguments(self: SpectralOperator) -> None:
    for name in self._rest[:-1]:
        checked_number(getattr(self, name), name)


class SpectralOperator(_BandFields):
    """An operator over a function of bands, which finds its bands in a raster.

    A subclass names its function, `class EVI(SpectralOperator, formula=evi)`, and lists the bands
    that the function takes as fields `blue_idx`, `red_idx` with their common names. Its parameters
    are those of the function, with `axis` after the bands. For type checkers, constants of the
    function are fields too, after `_: KW_ONLY`; `eps` is one of `NormalizedOperator`.

    Parameters
    ----------
    *_idx
        Index, own name or common name of each band.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.
    """

    _: KW_ONLY
    axis: int = 0
    dtype: str = "float32"

    def _apply(self, raster: Raster) -> Raster:
        own = self.__dict__
        kind = type(self)
        bands, rest = [own[n] for n in kind._bands], [own[n] for n in kind._rest]
        return _index(raster, bands, own["axis"], kind.__name__, kind._formula, *rest)


class NormalizedOperator(SpectralOperator):
    """A `SpectralOperator` over a function that adds `eps` to its denominator."""

    _: KW_ONLY
    eps: float = EPS


def _index(
    raster: Raster,
    bands: Sequence[Band],
    axis: int,
    name: str,
    formula: Callable[..., Values],
    *arguments: Any,
) -> Raster:
    """Call a formula on bands of a raster and wrap the result; nodata in any band is NaN."""
    taken = take_bands(raster, bands, axis)
    out = formula(*taken, *arguments)
    fill = fill_of(raster)
    for each in taken:
        carry_nodata(out, each, fill)
    attrs = {"long_name": name, "units": ""}
    return rewrap(raster, out, fill=NAN, attrs=attrs, drop=("band_names", "stretch"))


def _floats(dtype: DTypeLike, *bands: Values) -> list[Values]:
    """Return the bands as floats, those that already are without a copy; all of one shape."""
    kind = float_dtype(dtype)
    shape = bands[0].shape
    for band in bands:
        check_real(band)
        if band.shape != shape:
            raise ValueError(f"the bands must have one shape, got {[b.shape for b in bands]}")
    return [band if band.dtype == kind else band.astype(kind) for band in bands]


def normalized_difference(
    a: Values, b: Values, eps: float = EPS, dtype: DTypeLike = "float32"
) -> Values:
    """Return (a - b) / (a + b + eps).

    Parameters
    ----------
    a, b
        (H, W) or any one shape, any numeric dtype; taken as floats, so nothing wraps.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1 where both are non-negative; NaN where a band is.

    Raises
    ------
    ValueError
        The shapes differ, or `dtype` is no float type.

    Examples
    --------
    >>> normalized_difference(np.array([3, 0], "uint8"), np.array([1, 0], "uint8"))
    array([0.5, 0. ], dtype=float32)
    """
    a, b = _floats(dtype, a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(a, b)
        total = np.add(a, b)
        if eps:
            np.add(total, eps, out=total)
        return np.divide(out, total, out=out)


class NormalizedDifference(NormalizedOperator, formula=normalized_difference):
    """(a - b) / (a + b + eps) of any two bands: `normalized_difference` as an operator.

    Examples
    --------
    >>> NormalizedDifference(0, 1)(np.array([[[3.0]], [[1.0]]]))
    array([[0.5]], dtype=float32)
    """

    a_idx: Band
    b_idx: Band


def ndvi(red: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the vegetation index (nir - red) / (nir + red + eps).

    Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS.

    Parameters
    ----------
    red, nir
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> ndvi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, red, eps, dtype)


class NDVI(NormalizedOperator, formula=ndvi):
    """Vegetation index (nir - red) / (nir + red + eps): `ndvi` as an operator.

    Examples
    --------
    >>> NDVI(red_idx=2, nir_idx=3)
    NDVI(red_idx=2, nir_idx=3, axis=0, eps=1e-10, dtype='float32')
    >>> NDVI(0, 1)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    red_idx: Band = "red"
    nir_idx: Band = "nir"


def ndwi(green: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the open-water index (green - nir) / (green + nir + eps).

    McFeeters (1996), doi:10.1080/01431169608948714.

    Parameters
    ----------
    green, nir
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> ndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, nir, eps, dtype)


class NDWI(NormalizedOperator, formula=ndwi):
    """Open-water index (green - nir) / (green + nir + eps): `ndwi` as an operator.

    Examples
    --------
    >>> NDWI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    green_idx: Band = "green"
    nir_idx: Band = "nir"


def mndwi(green: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the modified open-water index (green - swir1) / (green + swir1 + eps).

    Xu (2006), doi:10.1080/01431160600589179.

    Parameters
    ----------
    green, swir1
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> mndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, swir1, eps, dtype)


class MNDWI(NormalizedOperator, formula=mndwi):
    """Modified open-water index (green - swir1) / (green + swir1 + eps): `mndwi` as an operator.

    Examples
    --------
    >>> MNDWI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    green_idx: Band = "green"
    swir1_idx: Band = "swir1"


def nbr(nir: Values, swir2: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the burn ratio (nir - swir2) / (nir + swir2 + eps).

    Key and Benson (2006), FIREMON, USDA RMRS-GTR-164; Lopez Garcia and Caselles (1991).

    Parameters
    ----------
    nir, swir2
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> nbr(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, swir2, eps, dtype)


class NBR(NormalizedOperator, formula=nbr):
    """Burn ratio (nir - swir2) / (nir + swir2 + eps): `nbr` as an operator.

    Examples
    --------
    >>> NBR(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    nir_idx: Band = "nir"
    swir2_idx: Band = "swir2"


def ndmi(nir: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the vegetation moisture index (nir - swir1) / (nir + swir1 + eps).

    Gao (1996), doi:10.1016/S0034-4257(96)00067-3, on the 1.6 um band.

    Parameters
    ----------
    nir, swir1
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> ndmi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, swir1, eps, dtype)


class NDMI(NormalizedOperator, formula=ndmi):
    """Vegetation moisture index (nir - swir1) / (nir + swir1 + eps): `ndmi` as an operator.

    Examples
    --------
    >>> NDMI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    nir_idx: Band = "nir"
    swir1_idx: Band = "swir1"


def ndsi(green: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the snow index (green - swir1) / (green + swir1 + eps).

    Hall, Riggs and Salomonson (1995), doi:10.1016/0034-4257(95)00137-P; snow above about 0.4.

    Parameters
    ----------
    green, swir1
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> ndsi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, swir1, eps, dtype)


class NDSI(NormalizedOperator, formula=ndsi):
    """Snow index (green - swir1) / (green + swir1 + eps): `ndsi` as an operator.

    Examples
    --------
    >>> NDSI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    green_idx: Band = "green"
    swir1_idx: Band = "swir1"


def gndvi(nir: Values, green: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the green vegetation index (nir - green) / (nir + green + eps).

    Gitelson, Kaufman and Merzlyak (1996), doi:10.1016/S0034-4257(96)00072-7.

    Parameters
    ----------
    nir, green
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> gndvi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, green, eps, dtype)


class GNDVI(NormalizedOperator, formula=gndvi):
    """Green vegetation index (nir - green) / (nir + green + eps): `gndvi` as an operator.

    Examples
    --------
    >>> GNDVI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    nir_idx: Band = "nir"
    green_idx: Band = "green"


def ndre(nir: Values, rededge1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the red-edge vegetation index (nir - rededge1) / (nir + rededge1 + eps).

    Gitelson and Merzlyak (1994), doi:10.1016/1011-1344(93)06963-4; spyndex calls it NDREI.

    Parameters
    ----------
    nir, rededge1
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> ndre(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, rededge1, eps, dtype)


class NDRE(NormalizedOperator, formula=ndre):
    """Red-edge vegetation index (nir - rededge1) / (nir + rededge1 + eps): `ndre` as an operator.

    Examples
    --------
    >>> NDRE(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    nir_idx: Band = "nir"
    rededge1_idx: Band = "rededge1"


def ndbi(swir1: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the built-up index (swir1 - nir) / (swir1 + nir + eps).

    Zha, Gao and Ni (2003), doi:10.1080/01431160304987.

    Parameters
    ----------
    swir1, nir
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> ndbi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(swir1, nir, eps, dtype)


class NDBI(NormalizedOperator, formula=ndbi):
    """Built-up index (swir1 - nir) / (swir1 + nir + eps): `ndbi` as an operator.

    Examples
    --------
    >>> NDBI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    swir1_idx: Band = "swir1"
    nir_idx: Band = "nir"


def kndvi(red: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the kernel vegetation index tanh(NDVI squared).

    It is the NDVI by a radial basis function whose width is the mean of the two bands. Camps-Valls
    et al. (2021), doi:10.1126/sciadv.abc7447.

    Parameters
    ----------
    red, nir
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the NDVI's denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, 0 to 1.

    Examples
    --------
    >>> kndvi(np.array([0.25]), np.array([0.75])).round(4)
    array([0.2449], dtype=float32)
    """
    out = normalized_difference(nir, red, eps, dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        np.square(out, out=out)
    return np.tanh(out, out=out)


class KNDVI(NormalizedOperator, formula=kndvi):
    """Kernel vegetation index tanh(NDVI squared): `kndvi` as an operator.

    Examples
    --------
    >>> KNDVI(0, 1)(np.array([[[0.25]], [[0.75]]])).round(4)
    array([[0.2449]], dtype=float32)
    """

    red_idx: Band = "red"
    nir_idx: Band = "nir"


def dnbr(
    nir_before: Values,
    swir2_before: Values,
    nir_after: Values,
    swir2_after: Values,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return how much the burn ratio fell from one date to another: NBR before less NBR after.

    Key and Benson (2006), FIREMON, USDA RMRS-GTR-164; they write it times 1000. High where it
    burnt; above some 0.27 severity is moderate or more.

    Parameters
    ----------
    nir_before, swir2_before, nir_after, swir2_after
        (H, W) or any one shape, reflectance or digital numbers without an offset.
    eps
        Added to the denominators, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -2 to 2.

    Examples
    --------
    >>> dnbr(np.array([0.75]), np.array([0.25]), np.array([0.25]), np.array([0.75]))
    array([1.], dtype=float32)
    """
    before = nbr(nir_before, swir2_before, eps, dtype)
    return np.subtract(before, nbr(nir_after, swir2_after, eps, dtype), out=before)


@dataclass(repr=False, eq=False)
class DNBR(Operator):
    """How much the burn ratio fell between two rasters: `dnbr` as an operator of two inputs.

    Parameters
    ----------
    nir_idx, swir2_idx
        Index, own name or common name of each band, the same in both rasters.
    axis
        Of the bands.
    eps, dtype
        As in `dnbr`.

    Examples
    --------
    >>> before, after = np.array([[[0.75]], [[0.25]]]), np.array([[[0.25]], [[0.75]]])
    >>> DNBR(0, 1)(before, after)
    array([[1.]], dtype=float32)
    """

    radius = 0
    nir_idx: Band = "nir"
    swir2_idx: Band = "swir2"
    axis: int = 0
    eps: float = EPS
    dtype: str = "float32"

    def __post_init__(self) -> None:
        how: Any = {"axis": self.axis, "eps": self.eps, "dtype": self.dtype}
        self._ratio = NBR(self.nir_idx, self.swir2_idx, **how)

    def _apply(self, before: Raster, after: Raster) -> Raster:
        check_place(before, place_of(after), "the two dates lie on different grids")
        fell = np.subtract(values_of(self._ratio(before)), values_of(self._ratio(after)))
        attrs = {"long_name": "dNBR", "units": "", **joint_attrs([before, after])}
        return rewrap(before, fell, fill=NAN, attrs=attrs, drop=("band_names", "stretch"))


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
    """Return the enhanced vegetation index g (nir - red) / (nir + c1 red - c2 blue + L).

    Huete et al. (2002), doi:10.1016/S0034-4257(02)00096-2, with the MODIS coefficients.

    Parameters
    ----------
    blue, red, nir
        (H, W) or any one shape, reflectance, 0 to 1; digital numbers give nonsense.
    g, c1, c2, L
        Gain, the two coefficients of the aerosol term, and the soil term; unitless.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape.

    Examples
    --------
    >>> evi(np.array([0.0]), np.array([0.25]), np.array([0.5]))
    array([0.20833333], dtype=float32)
    """
    blue, red, nir = _floats(dtype, blue, red, nir)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(nir, red)
        np.multiply(out, g, out=out)
        total = np.multiply(red, c1)
        np.add(total, nir, out=total)
        np.subtract(total, np.multiply(blue, c2), out=total)
        np.add(total, L, out=total)
        return np.divide(out, total, out=out)


class EVI(SpectralOperator, formula=evi):
    """Enhanced vegetation index: `evi` as an operator.

    Examples
    --------
    >>> EVI(0, 1, 2)(np.array([[[0.0]], [[0.25]], [[0.5]]]))
    array([[0.20833333]], dtype=float32)
    """

    blue_idx: Band = "blue"
    red_idx: Band = "red"
    nir_idx: Band = "nir"
    _: KW_ONLY
    g: float = 2.5
    c1: float = 6.0
    c2: float = 7.5
    L: float = 1.0


def evi2(red: Values, nir: Values, dtype: DTypeLike = "float32") -> Values:
    """Return the enhanced vegetation index without a blue band.

    It is 2.5 (nir - red) / (nir + 2.4 red + 1). Jiang et al. (2008), doi:10.1016/j.rse.2008.06.006.

    Parameters
    ----------
    red, nir
        (H, W) or any one shape, reflectance, 0 to 1; digital numbers give nonsense.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape.

    Examples
    --------
    >>> evi2(np.array([0.25]), np.array([0.4]))
    array([0.1875], dtype=float32)
    """
    return evi(red, red, nir, c1=2.4, c2=0.0, dtype=dtype)


class EVI2(SpectralOperator, formula=evi2):
    """Enhanced vegetation index without a blue band: `evi2` as an operator.

    Examples
    --------
    >>> EVI2(0, 1)(np.array([[[0.25]], [[0.4]]]))
    array([[0.1875]], dtype=float32)
    """

    red_idx: Band = "red"
    nir_idx: Band = "nir"


def savi(red: Values, nir: Values, L: float = 0.5, dtype: DTypeLike = "float32") -> Values:
    """Return the soil-adjusted vegetation index (1 + L) (nir - red) / (nir + red + L).

    Huete (1988), doi:10.1016/0034-4257(88)90106-X.

    Parameters
    ----------
    red, nir
        (H, W) or any one shape, reflectance, 0 to 1; digital numbers give nonsense.
    L
        Soil term: 0 for dense cover (then it is the NDVI), 1 for bare soil.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape.

    Examples
    --------
    >>> savi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    red, nir = _floats(dtype, red, nir)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(nir, red)
        np.multiply(out, 1.0 + L, out=out)
        total = np.add(nir, red)
        np.add(total, L, out=total)
        return np.divide(out, total, out=out)


class SAVI(SpectralOperator, formula=savi):
    """Soil-adjusted vegetation index: `savi` as an operator.

    Examples
    --------
    >>> SAVI(0, 1)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    red_idx: Band = "red"
    nir_idx: Band = "nir"
    _: KW_ONLY
    L: float = 0.5


def bsi(
    blue: Values,
    red: Values,
    nir: Values,
    swir1: Values,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the bare-soil index.

    It is ((swir1 + red) - (nir + blue)) / ((swir1 + red) + (nir + blue) + eps). Rikimaru, Roy and
    Miyatake (2002), Tropical Ecology 43, 39-47; spyndex calls it BI.

    Parameters
    ----------
    blue, red, nir, swir1
        (H, W) or any one shape, reflectance or digital numbers of any numeric dtype.
    eps
        Added to the denominator, so that 0/0 is 0.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape, -1 to 1.

    Examples
    --------
    >>> bsi(np.array([0.25]), np.array([0.5]), np.array([0.25]), np.array([1.0]))
    array([0.5], dtype=float32)
    """
    blue, red, nir, swir1 = _floats(dtype, blue, red, nir, swir1)
    with np.errstate(invalid="ignore"):
        return normalized_difference(swir1 + red, nir + blue, eps, dtype)


class BSI(NormalizedOperator, formula=bsi):
    """Bare-soil index: `bsi` as an operator.

    Examples
    --------
    >>> BSI(0, 1, 2, 3)(np.array([[[0.25]], [[0.5]], [[0.25]], [[1.0]]]))
    array([[0.5]], dtype=float32)
    """

    blue_idx: Band = "blue"
    red_idx: Band = "red"
    nir_idx: Band = "nir"
    swir1_idx: Band = "swir1"


def bais2(
    rededge2: Values,
    rededge3: Values,
    nir08: Values,
    red: Values,
    swir2: Values,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the burned area index for Sentinel-2.

    It is (1 - sqrt(rededge2 rededge3 nir08 / red)) ((swir2 - nir08) / sqrt(swir2 + nir08) + 1).
    Filipponi (2018), doi:10.3390/ecrs-2-05177.

    Parameters
    ----------
    rededge2, rededge3, nir08, red, swir2
        (H, W) or any one shape, reflectance, 0 to 1; the bands
        B06, B07, B8A, B04 and B12.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of the bands' shape.

    Examples
    --------
    >>> bais2(np.array([0.5]), np.array([0.5]), np.array([0.5]), np.array([0.5]), np.array([0.5]))
    array([0.5], dtype=float32)
    """
    rededge2, rededge3, nir08, red, swir2 = _floats(dtype, rededge2, rededge3, nir08, red, swir2)
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


class BAIS2(SpectralOperator, formula=bais2):
    """Burned area index for Sentinel-2: `bais2` as an operator.

    Examples
    --------
    >>> BAIS2(0, 1, 2, 3, 4)(np.array([[[0.5]], [[0.5]], [[0.5]], [[0.5]], [[0.5]]]))
    array([[0.5]], dtype=float32)
    """

    rededge2_idx: Band = "rededge2"
    rededge3_idx: Band = "rededge3"
    nir08_idx: Band = "nir08"
    red_idx: Band = "red"
    swir2_idx: Band = "swir2"


def arvi(
    blue: Values,
    red: Values,
    nir: Values,
    gamma: float = 1.0,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the atmospherically resistant vegetation index (nir - rb) / (nir + rb + eps).

    Here rb = red - gamma (red - blue). Kaufman and Tanre (1992), doi:10.1109/36.134076.

    Parameters
    ----------
    blue, red, nir
        (H, W) or any one shape, reflectance.
    gamma
        Weight of the aerosol correction; 0 gives the NDVI.
    eps, dtype
        As in `normalized_difference`.

    Returns
    -------
    Floats of the bands' shape.

    Examples
    --------
    >>> arvi(np.array([0.25]), np.array([0.5]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    blue, red, nir = _floats(dtype, blue, red, nir)
    with np.errstate(invalid="ignore"):
        rb = np.subtract(blue, red)
        np.multiply(rb, gamma, out=rb)
        np.add(rb, red, out=rb)
    return normalized_difference(nir, rb, eps, dtype)


class ARVI(NormalizedOperator, formula=arvi):
    """Atmospherically resistant vegetation index: `arvi` as an operator.

    Examples
    --------
    >>> ARVI(0, 1, 2)(np.array([[[0.25]], [[0.5]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    blue_idx: Band = "blue"
    red_idx: Band = "red"
    nir_idx: Band = "nir"
    _: KW_ONLY
    gamma: float = 1.0


_LETTERS = {"A", "B", "G", "R", "RE1", "RE2", "RE3", "N", "N2", "WV", "S1", "S2"}

SPYNDEX_BANDS: Mapping[str, str] = {
    letter: name for name, aliases in ALIASES.items() for letter in _LETTERS & {*aliases}
}
"""Spyndex's letters for bands, as the common names that `geotoolz.bands` looks up."""


class IndexRecipe(NamedTuple):
    """What an index needs: bands, constants with their defaults, kernel terms, and the formula."""

    bands: tuple[str, ...]
    constants: Mapping[str, float | None]
    kernels: tuple[str, ...]
    formula: str


# Spyndex has one default for a letter in all formulas; L = 1 is EVI's. These are the authors' own.
_SOIL = {"L": 0.5}  # Huete (1988), doi:10.1016/0034-4257(88)90106-X, for intermediate covers
_AUTHORS: Mapping[str, Mapping[str, float]] = {
    **dict.fromkeys(("SAVI", "GSAVI", "SARVI", "SAVIT", "MNLI", "IBI", "NBUI"), _SOIL),
    "NDPI": {"alpha": 0.74},  # Wang et al. (2017), doi:10.1016/j.rse.2017.04.031
}


@lru_cache(maxsize=512)
def index_recipe(name: str) -> IndexRecipe:
    """Return what the index `name` is made of; ValueError with near names for an unknown one.

    Parameters
    ----------
    name
        Of the index in spyndex.

    Returns
    -------
    Its parts, constants without a default as None.

    Raises
    ------
    ValueError
        With near names, for an unknown index.

    Examples
    --------
    >>> index_recipe("SAVI").bands, dict(index_recipe("SAVI").constants)
    (('N', 'R'), {'L': 0.5})
    """
    spyndex = needed("spyndex")

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
    constants |= _AUTHORS.get(name, {})
    bands = [each for each in entry.bands if each not in constants and each not in kernels]
    bands += [each for each in inner if each not in constants]
    return IndexRecipe(tuple(dict.fromkeys(bands)), constants, kernels, entry.formula)


def spectral_index(
    name: str, bands: Mapping[str, Values], dtype: DTypeLike = "float32", **constants: float
) -> Values:
    """Compute any index of spyndex from its bands.

    Parameters
    ----------
    name
        Such as "NDVI" or "kNDVI"; the list is at awesome-ee-spectral-indices.readthedocs.io.
    bands
        An array for each of spyndex's letters that the formula has, all of one shape.
    dtype
        Of the result, a float type.
    **constants
        Of the formula, in place of spyndex's defaults, or of the authors' own where these differ
        (L is 0.5 in SAVI and its kin); central wavelengths (`lambdaN`, nm) have none. Kernel
        indices use the radial basis function, with `sigma` the mean of the two bands unless given
        (Camps-Valls et al. 2021, doi:10.1126/sciadv.abc7447).

    Returns
    -------
    Floats of the bands' shape; 0/0 is NaN.

    Raises
    ------
    ValueError
        An unknown index, a missing band or a missing constant.

    Examples
    --------
    >>> spectral_index("NDVI", {"N": np.array([0.75]), "R": np.array([0.25])})
    array([0.5], dtype=float32)
    """
    spyndex = needed("spyndex")

    recipe = index_recipe(name)
    missing = [each for each in recipe.bands if each not in bands]
    if missing:
        raise ValueError(f"{name} = {recipe.formula} needs the bands {missing} too")
    taken = dict(zip(recipe.bands, _floats(dtype, *(bands[b] for b in recipe.bands)), strict=True))
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
    accepted = recipe.constants.keys() | ({"sigma"} if recipe.kernels else set())
    unknown = ", ".join(sorted(given.keys() - accepted))
    if unknown:
        known = sorted(accepted) or "none"
        raise ValueError(f"{name} has no constant {unknown}; it has {known}")
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

    Parameters
    ----------
    name
        Of the index in spyndex.
    bands
        Spyndex's letters to band indices or names, such as `{"N": 3, "R": "B04"}`; letters
        left out are looked up by their common names.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.
    **constants
        Of the formula.

    Raises
    ------
    ValueError
        For a band that the index does not have; it lists those that it has.

    Examples
    --------
    >>> SpectralIndex("SAVI", bands={"R": 0, "N": 1}, L=0.5)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    radius = 0
    takes_batches = False

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

        def formula(*bands: Values) -> Values:
            taken = dict(zip(letters, bands, strict=True))
            return spectral_index(self.name, taken, self.dtype, **self.constants)

        return _index(raster, found, self.axis, self.name, formula)
