"""Footprints on a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geocatalog.crs import crs_text

if TYPE_CHECKING:
    from geocatalog.catalog import GeoCatalog


def plot_footprints(
    catalog: GeoCatalog, ax: Any = None, column: str | None = "start_time", **kwargs: Any
) -> Any:
    """Draw footprints on matplotlib axes, coloured by a column where it says something.

    `column=None` draws all alike; `kwargs` go to `GeoDataFrame.plot`. Returns the axes, whose
    labels name the CRS's units.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(6, 6), layout="constrained")
    frame = catalog.gdf
    options: dict[str, Any] = {"alpha": 0.5, "edgecolor": "black", "linewidth": 0.6}
    if column is not None and column in frame.columns and frame[column].nunique() > 1:
        options |= _colours(frame, column)
    else:
        options["facecolor"] = "tab:blue"
    if len(frame):
        frame.plot(ax=ax, **(options | kwargs))
    unit = "°" if catalog.crs.is_geographic else "m"
    x, y = ("longitude", "latitude") if catalog.crs.is_geographic else ("easting", "northing")
    ax.set_xlabel(f"{x} ({unit})")
    ax.set_ylabel(f"{y} ({unit})")
    ax.set_title(f"{len(frame)} footprints, {crs_text(catalog.crs)}")
    return ax


def _colours(frame: Any, column: str) -> dict[str, Any]:
    """Return how to colour by a column: a bar for times and numbers, a legend for names."""
    if frame[column].dtype.kind not in "iufM":
        few = frame[column].nunique() <= MOST_NAMES
        titled = {"legend_kwds": {"title": column}} if few else {}
        return {"column": column, "cmap": "tab20", "categorical": True, "legend": few, **titled}
    bar = {"label": _label(frame, column), "shrink": 0.7}
    return {"column": _days(frame, column), "cmap": "viridis", "legend": True, "legend_kwds": bar}


MOST_NAMES = 20
"""Names a legend may list and still be read."""


def _days(frame: Any, column: str) -> Any:
    if frame[column].dtype.kind != "M":
        return column
    return (frame[column] - frame[column].min()).dt.total_seconds() / 86400


def _label(frame: Any, column: str) -> str:
    if frame[column].dtype.kind != "M":
        return column
    return f"{column}: days since {frame[column].min():%Y-%m-%d}"


def explore_footprints(catalog: GeoCatalog, **kwargs: Any) -> Any:
    """Return an interactive folium map of the footprints; `kwargs` go to `GeoDataFrame.explore`.

    Raises
    ------
    ImportError
        That says how to install folium where it is missing.
    """
    frame = catalog.gdf
    for name in ("start_time", "end_time"):
        frame[name] = frame[name].astype(str)
    try:
        return frame.explore(**kwargs)
    except ImportError as error:
        raise ImportError(
            "an interactive map needs folium and mapclassify: pip install folium mapclassify "
            "(catalog.plot() draws a static one)"
        ) from error
