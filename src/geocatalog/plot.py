"""Footprints on a map."""

from __future__ import annotations

from typing import Any

from geopandas import GeoDataFrame

from geocatalog.footprint import crs_text
from pipekit.lazy import needed


def plot_footprints(
    frame: GeoDataFrame, ax: Any = None, column: str | None = "start_time", **kwargs: Any
) -> Any:
    """Draw footprints on matplotlib axes, coloured by a column where it says something.

    Parameters
    ----------
    frame
        Footprints with a CRS.
    ax
        Axes to draw on; by default new ones.
    column
        Column that says the colour; None draws all alike.
    **kwargs
        Passed to `GeoDataFrame.plot`.

    Returns
    -------
    The axes, in the CRS's own units; ticks count kilometres, or degrees.
    """
    plt = needed("matplotlib.pyplot")

    if ax is None:
        _, ax = plt.subplots(figsize=(6, 6), layout="constrained")
    options: dict[str, Any] = {"alpha": 0.5, "edgecolor": "black", "linewidth": 0.6}
    if column is not None and column in frame.columns and frame[column].nunique() > 1:
        options |= _colours(frame, column)
    else:
        options["facecolor"] = "tab:blue"
    if len(frame):
        frame.plot(ax=ax, **(options | kwargs))
    x, y = "longitude (°)", "latitude (°)"
    if not frame.crs.is_geographic:
        x, y = "easting (km)", "northing (km)"
        kilometre = 1000 / frame.crs.axis_info[0].unit_conversion_factor
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda place, _: f"{place / kilometre:.10g}")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(f"{len(frame)} footprints, {crs_text(frame.crs)}")
    return ax


def _colours(frame: GeoDataFrame, column: str) -> dict[str, Any]:
    """Return how to colour by a column: a bar for times and numbers, a legend for names."""
    values, label = frame[column], column
    if values.dtype.kind not in "iufM":
        few = values.nunique() <= MOST_NAMES
        titled = {"legend_kwds": {"title": column}} if few else {}
        return {"column": column, "cmap": "tab20", "categorical": True, "legend": few, **titled}
    if values.dtype.kind == "M":
        label = f"{column}: days since {values.min():%Y-%m-%d}"
        values = (values - values.min()).dt.total_seconds() / 86400
    bar = {"label": label, "shrink": 0.7}
    return {"column": values, "cmap": "viridis", "legend": True, "legend_kwds": bar}


MOST_NAMES = 20
"""Names a legend may list and still be read."""
