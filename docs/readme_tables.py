"""Write the README's tables, of notebooks and of measurements: python docs/readme_tables.py.

The first lists the executed notebooks; one without a line below is an error. The second holds the
figures of benchmarks/RESULTS.md that decide for a user, which the site's first page shows too.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TIERS = {
    "Walkthrough": {
        "01_composition_core": "operators, pipelines and graphs, on plain numbers",
        "02_pipeline_idioms": "profiling, retries, caches, checks: idioms to compose, not rewrite",
        "03_operators_lake_tahoe": "a Sentinel-2 scene, reflectance, NDVI, cloud masks",
        "04_image_processing_caldor": "a wildfire before and after: burn severity and its area",
        "05_patching_grids": "the four axes: a scene taken apart and put back, exact to the edge",
        "06_ml_patches_augment": "training chips, augmentation, a classifier, tiled inference",
        "07_deployment_shapes": "thirteen ways the same pipeline runs in production",
    },
    "Patching deep dives": {
        "patching/01_intro": "one chip, one band, one window at a time",
        "patching/02_geometries": "rectangles, spherical caps, graphs of neighbours, polygons",
        "patching/03_sampling": "where the chips go, in space and in time",
        "patching/04_backends": "one patcher over rasters, cubes, tables and chunked arrays",
        "patching/05_time": "lookbacks, forecasts, patches in space and time",
        "patching/06_streaming": "a whole tile in flat memory, killed and resumed",
        "patching/07_networks": "a U-Net for clouds: how far it looks, margins, polygons",
        "patching/recipes/grain": "chips as a Grain data source",
        "patching/recipes/jax_vmap": "a JAX model over a batch of chips",
        "patching/recipes/torch_dataset": "chips as a PyTorch dataset",
    },
    "Catalog deep dives": {
        "catalog/01_intro": "22 scenes as a table: query, mosaic, time series",
        "catalog/02_backends": "catalogs of rasters, of NetCDF and of vector files",
        "catalog/03_set_algebra": "query, intersect and union, and the laws they keep",
        "catalog/04_duckdb": "a million rows in GeoParquet, most of them never read",
        "catalog/05_patching_bridge": "from catalog row to catalog row: a water mask per date",
        "catalog/06_archive_scale": "a store, a catalog on it, a run that stops: what each costs",
        "catalog/07_composites_and_series": "a clear picture a month, a curve a field, a harvest",
    },
    "Assessment": {
        "assessment/01_area_and_accuracy": "300 pixels looked at: areas and accuracies with errors",
        "assessment/02_honest_validation": "scores that hold elsewhere: folds by blocks, doubt",
    },
}


FIGURES = {
    "peak memory in all from a file (2, 10980, 10980) to a COG": (
        "at most, for the NDVI of a whole Sentinel-2 tile from a file to a COG; a call on the "
        "whole scene in memory takes {whole}"
    ),
    "tiled NDVI (4, 10980, 10980), two workers, against the whole-scene call": (
        "the time of the whole-scene call: a tile in chips, on two cores"
    ),
    "blended NDVI (4, 10980, 10980) against the fastest peer that blends": (
        "the time of the fastest of MONAI, tiler and xbatcher, blended"
    ),
    "queries of 1,000,000 rows in memory, faster than GeoPandas": (
        "faster than GeoPandas: a box and 30 days, of a million rows"
    ),
    "500 fields on one date, faster than a file opened for each field": (
        "faster than exactextract with a file opened for each field: means of 500 fields"
    ),
}
"""A target of the benchmark -> what its figure says beside its peer, in the order of the pages."""
WHOLE = re.compile(r"^\| whole-scene call \|.*\((?P<peak>[\d,]+ MB)\) \|$", re.MULTILINE)
"""The row of the peaks of memory that ends with a whole tile's."""


def existing() -> set[str]:
    """Names of the executed notebooks in the repository, below `notebooks/`."""
    folder = ROOT / "notebooks"
    return {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.ipynb")}


def notebooks() -> str:
    """The table of notebooks, with a line above each tier."""
    known = {name for tier in TIERS.values() for name in tier}
    unknown = existing() - known
    if unknown:
        raise ValueError(f"every notebook needs a line in {Path(__file__).name}: {unknown}")
    lines = ["| notebook | about |", "| --- | --- |"]
    for tier, notebooks in TIERS.items():
        present = {name: text for name, text in notebooks.items() if name in existing()}
        if present:
            lines.append(f"| **{tier}** | |")
        for name, text in present.items():
            lines.append(f"| [{name}](notebooks/{name}.ipynb) | {text} |")
    return "\n".join(lines)


def measurements(results: str) -> str:
    """A line for each figure that decides for a user."""
    return "\n".join(f"- **{figure}** {text}." for figure, text in figures(results))


def figures(results: str) -> list[tuple[str, str]]:
    """What was measured for each of `FIGURES`, and what it says."""
    rows = table(results, "Targets").splitlines()
    measured = {
        cells[1]: cells[2] for cells in ([c.strip() for c in r.split("|")[1:]] for r in rows)
    }
    whole = WHOLE.search(results)
    missing = set(FIGURES) - set(measured)
    if missing or not whole:
        raise ValueError(f"benchmarks/RESULTS.md lacks the figures of {missing or 'peak memory'}")
    return [
        (measured[name], text.replace("{whole}", whole["peak"])) for name, text in FIGURES.items()
    ]


def table(results: str, title: str) -> str:
    """The first table below a heading."""
    _, heading, below = results.partition(f"\n## {title}\n")
    lines = below.partition("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    if not heading or len(rows) < 3:
        raise ValueError(f"benchmarks/RESULTS.md must hold a table below '## {title}'")
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """The README with both tables renewed between their marks."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    for name, table in (("notebooks", notebooks()), ("measurements", measurements(results))):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        marks = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not marks.search(text):
            raise ValueError(f"the page must hold {begin} and {end} where the table goes")
        text = marks.sub(lambda _, new=f"{begin}\n{table}\n{end}": new, text)
    return text


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
    print(f"{len(existing())} notebooks in {page.name}")
