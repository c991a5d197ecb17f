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

from dataclasses import dataclass

from geotoolz.bands import Band
from geotoolz.index_formulas import (
    EPS,
    arvi,
    bais2,
    bsi,
    evi,
    gndvi,
    mndwi,
    nbr,
    ndmi,
    ndre,
    ndsi,
    ndvi,
    ndwi,
    normalized_difference,
    savi,
)
from geotoolz.index_operator import SpectralOperator
from geotoolz.spectral_index import SpectralIndex, spectral_index

__all__ = [
    "ARVI",
    "BAIS2",
    "BSI",
    "EPS",
    "EVI",
    "GNDVI",
    "MNDWI",
    "NBR",
    "NDMI",
    "NDRE",
    "NDSI",
    "NDVI",
    "NDWI",
    "SAVI",
    "NormalizedDifference",
    "SpectralIndex",
    "arvi",
    "bais2",
    "bsi",
    "evi",
    "gndvi",
    "mndwi",
    "nbr",
    "ndmi",
    "ndre",
    "ndsi",
    "ndvi",
    "ndwi",
    "normalized_difference",
    "savi",
    "spectral_index",
]


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
