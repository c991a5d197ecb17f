"""Claim: the same rows as GeoPandas and rustac give, sooner, from memory and from a file.

Footprints in degrees, as STAC has them. Every rival answers the same questions, and gives rows: a
GeoDataFrame, or a list of items. They are compared row by row before a time is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from bench_catalog import by_geopandas, questions, scenes
from compare import Comparison
from peers import CATALOG
from stac_table import rustac_client, write_stac_geoparquet

from geocatalog import InMemoryGeoCatalog, open_catalog, to_geoparquet

METRES = 1e5
"""That many to a degree: the metric footprints of `bench_catalog`, scaled."""
Question = tuple[tuple[float, ...], pd.Interval]


def in_degrees(count: int) -> gpd.GeoDataFrame:
    table = scenes(count)
    corners = shapely.transform(table.geometry.to_numpy(), lambda points: points / METRES)
    return gpd.GeoDataFrame(table.drop(columns="geometry"), geometry=corners, crs=4326)


def asked_in_degrees(count: int) -> list[Question]:
    return [(tuple(x / METRES for x in box), time) for box, time in questions(count)]


def search_with_rustac(client: Any, path: Path) -> Callable[[tuple[float, ...], pd.Interval], list]:
    def search(box: tuple[float, ...], time: pd.Interval) -> list[dict[str, Any]]:
        days = f"{time.left.isoformat()}/{time.right.isoformat()}"
        return client.search(str(path), bbox=list(box), datetime=days)

    return search


@pytest.mark.parametrize(
    ("count", "asks"), [(1_000, 100), (10_000, 100), (100_000, 40), (1_000_000, 20)]
)
def test_rows_against_peers(
    count: int, asks: int, compare: Comparison, quick: bool, tmp_path: Path
) -> None:
    if quick and count != 10_000:
        pytest.skip("one small catalog in the quick run")
    asks = 20 if quick else asks
    table, asked = in_degrees(count), asked_in_degrees(1000)
    memory = InMemoryGeoCatalog(table)
    file = open_catalog(to_geoparquet(memory, tmp_path / "catalog.parquet"))
    rivals: dict[str, Callable[..., Any]] = {
        "GeoPandas, sindex": lambda box, time: by_geopandas(table, box, time),
        "geocatalog, in memory": lambda box, time: memory.query(bounds=box, time=time).gdf,
        "geocatalog, from a file": lambda box, time: file.query(bounds=box, time=time).gdf,
    }
    client = client_or_reason(tmp_path / "extensions", compare)
    if client is not None:
        # in the order of our file, which is the better for whoever skips row groups
        items = write_stac_geoparquet(file.gdf, tmp_path / "items.parquet")
        rivals["rustac, search"] = search_with_rustac(client, items)
    many = 200 if quick or count > 100_000 else 1000
    facts = {
        name: equality(
            rival, rivals["GeoPandas, sindex"], asked[: many if "memory" in name else asks]
        )
        for name, rival in rivals.items()
        if name != "GeoPandas, sindex"
    }
    compare(
        f"{CATALOG} of {count:,} items",
        {
            name: (lambda rival=rival: [rival(*one) for one in asked[:asks]])
            for name, rival in rivals.items()
        },
        baseline="GeoPandas, sindex",
        facts=facts,
        warm=True,
        rounds=2,
        per=("query", asks),
        curve=(CATALOG, count),
    )


def client_or_reason(folder: Path, compare: Comparison) -> Any:
    """Return rustac's client, or None and say why: its DuckDB may lack what it can't download."""
    if find_spec("rustac") is None:
        return None
    from rustac import RustacError

    try:
        return rustac_client(folder)
    except RustacError as error:
        compare.left_out.append(f"rustac: {str(error).splitlines()[0]}")
        return None


def equality(rival: Callable, oracle: Callable, asked: list[Question]) -> dict[str, str]:
    """Assert that two rivals give the same rows to every question."""
    rows = 0
    for box, time in asked:
        expected = sorted(oracle(box, time).filepath)
        found = rival(box, time)
        names = [item["id"] for item in found] if isinstance(found, list) else found.filepath
        assert sorted(names) == expected
        rows += len(expected)
    return {"the same rows": f"all {rows:,}, of {len(asked):,} queries"}
