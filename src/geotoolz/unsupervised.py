"""What a raster says of itself, without labels: principal components and clusters of its pixels.

Both are scikit-learn's, fitted on the valid pixels of the raster that they are given: two chips of
a scene get components and clusters of their own. For one model of many rasters fit it once, with
`geotoolz.learn.fit_pixels`, and apply it with `SklearnOp`. Only quantities are features; classes,
bits and masks are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geotoolz.bands import band_axis, coded_bands
from geotoolz.carrier import NAN, Mask, Raster, Values, check_real, rewrap, values_of
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.learn import pixel_table
from pipekit.lazy import needed
from pipekit.operator import checked_count


def principal_components(
    raster: Raster, n_components: int = 3, whiten: bool = False, axis: int = 0
) -> Raster:
    """Return the first principal components of a raster's bands, the one with most variance first.

    Pearson (1901), doi:10.1080/14786440109462720. A component's sign is chosen so that its largest
    loading is positive, the same on every machine.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype; bands in units of their own are better scaled before.
    n_components
        How many, at most as many as there are bands and valid pixels.
    whiten
        Whether components are divided by their standard deviation.
    axis
        Of the bands in the raster.

    Returns
    -------
    (n_components, H, W) float32, NaN where a band has no data; `attrs["explained_variance_ratio"]`
    has the share of each.

    Raises
    ------
    ValueError
        For more components than bands or valid pixels.

    Examples
    --------
    >>> chip = np.array([[[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]]])
    >>> principal_components(chip, 1).round(3)
    array([[[-2.236,  0.   ,  2.236]]], dtype=float32)
    """
    decomposition = needed("sklearn.decomposition")

    features, valid = _features(raster, axis)
    most = min(features.shape)
    if not 1 <= n_components <= most:
        raise ValueError(
            f"n_components must be 1 to {most} for {features.shape[1]} bands and "
            f"{features.shape[0]} valid pixels, got {n_components}"
        )
    model = decomposition.PCA(n_components, whiten=whiten, svd_solver="covariance_eigh")
    scores = model.fit_transform(features)
    largest = np.abs(model.components_).argmax(axis=1)
    scores *= np.sign(model.components_[np.arange(n_components), largest])
    out = np.full((n_components, *valid.shape), NAN, np.float32)
    out[:, valid] = scores.T
    attrs = {
        "band_names": [f"PC{n}" for n in range(1, n_components + 1)],
        "band_roles": "quantity",
        "long_name": "principal components",
        "explained_variance_ratio": model.explained_variance_ratio_.round(6).tolist(),
    }
    return rewrap(raster, out, fill=NAN, attrs=attrs)


def k_means(
    raster: Raster, n_clusters: int = 8, seed: int = 0, nodata: int = -1, axis: int = 0
) -> Raster:
    """Return the cluster of each pixel, the darkest first: k-means over the bands.

    Lloyd (1982), doi:10.1109/TIT.1982.1056489. Clusters are numbered by the mean of their centre's
    bands, so that their numbers do not depend on the draw.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype; bands in units of their own are better scaled before.
    n_clusters
        How many, at most as many as there are valid pixels.
    seed
        Of the first centres.
    nodata
        Where a band has no data.
    axis
        Of the bands in the raster.

    Returns
    -------
    (H, W) int16 classes, 0 to `n_clusters` - 1.

    Raises
    ------
    ValueError
        For more clusters than valid pixels, or a nodata value that is one of theirs.

    Examples
    --------
    >>> k_means(np.array([[[0.1, 0.8, np.nan, 0.9]], [[0.2, 0.7, 0.5, 0.8]]]), 2)
    array([[ 0,  1, -1,  1]], dtype=int16)
    """
    cluster = needed("sklearn.cluster")

    _check_clusters(n_clusters, nodata)
    features, valid = _features(raster, axis)
    if n_clusters > len(features):
        raise ValueError(f"{n_clusters} clusters need as many valid pixels, got {len(features)}")
    model = cluster.KMeans(n_clusters, n_init=4, random_state=seed).fit(features)
    rank = np.empty(n_clusters, np.int16)
    rank[np.argsort(model.cluster_centers_.mean(axis=1), kind="stable")] = np.arange(n_clusters)
    out = np.full(valid.shape, nodata, np.int16)
    out[valid] = rank[model.labels_]
    attrs = {"long_name": "cluster", "units": "", "band_roles": "class"}
    return rewrap(raster, out, fill=nodata, attrs=attrs, drop=("band_names",))


def _features(raster: Raster, axis: int) -> tuple[Values, Mask]:
    """Return the quantities of the valid pixels (N, C), and which pixels (H, W) these are."""
    values = values_of(raster)
    check_real(values)
    count, coded = values.shape[band_axis(values, axis)], coded_bands(raster, axis)
    used = [band for band in range(count) if band not in coded]
    if not used:
        raise ValueError("the raster has no band of quantities, so there is nothing to learn from")
    features, valid = pixel_table(raster, axis, used)
    return features.astype(np.float64), valid


def _check_clusters(n_clusters: Any, nodata: int) -> None:
    checked_count(n_clusters, "n_clusters")
    if 0 <= nodata < n_clusters or not -(2**15) <= nodata < 2**15 or n_clusters > 2**15:
        raise ValueError(f"nodata must be an int16 beyond 0 to {n_clusters - 1}, got {nodata}")


class PCA(FunctionOperator):
    """Principal components of a raster's bands: `principal_components` as an operator.

    Examples
    --------
    >>> chip = np.array([[[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]]])
    >>> PCA(n_components=1)(chip).shape
    (1, 1, 3)
    """

    @parameters_of(principal_components)
    def __init__(self) -> None:
        checked_count(self.n_components, "n_components")


class KMeans(FunctionOperator):
    """Clusters of a raster's pixels: `k_means` as an operator.

    Examples
    --------
    >>> KMeans(n_clusters=2)(np.array([[[0.1, 0.8, 0.9]], [[0.2, 0.7, 0.8]]]))
    array([[0, 1, 1]], dtype=int16)
    """

    @parameters_of(k_means)
    def __init__(self) -> None:
        _check_clusters(self.n_clusters, self.nodata)
