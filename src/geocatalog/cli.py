"""The command `geocatalog`: build a catalog file, ask it, describe it, convert it.

Exit codes: 0 done; 1 the catalog, the files or the question were wrong (the reason is on standard
error); 2 the command line was wrong; 3 `query` found nothing, or `info --check` found files
missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from geocatalog.errors import CatalogError

if TYPE_CHECKING:
    from geocatalog.catalog import CatalogRow, GeoCatalog

NOTHING_FOUND = 3
"""Exit code of a command that worked and whose answer is "none"."""

app = App(
    name="geocatalog",
    help="Catalogs of raster, xarray and vector files: build once, query without opening a file.",
    help_format="plaintext",
    version=lambda: version("geostack"),
)

Output = Annotated[bool, Parameter(name="--json", help="Print JSON instead of text.")]


@app.command
def build(
    output: Path,
    inputs: list[str],
    *,
    kind: Literal["raster", "xarray", "vector", "stac"] = "raster",
    pattern: str | None = None,
    regex: str | None = None,
    date_format: str = "%Y%m%d",
    target_crs: str | None = None,
    asset: list[str] | None = None,
    layer: str | None = None,
    time_var: str = "time",
    workers: int = 32,
    skip_errors: bool = False,
    json_output: Output = False,
) -> int:
    r"""Read headers and write a catalog file (GeoParquet).

    Example: geocatalog build june.parquet scenes/ --regex '_(?P<date>\d{8})T'

    Parameters
    ----------
    inputs
        Files, URLs, or folders searched for --pattern.
    kind
        What the inputs are; stac reads STAC item or item collection JSON.
    pattern
        Glob for folders, by default by kind.
    regex
        Date in the file name, e.g. '_(?P<date>\d{8})_'.
    date_format
        strptime format of that date.
    target_crs
        CRS of footprints, e.g. EPSG:4326.
    asset
        STAC asset; several are read as bands.
    layer
        Vector layer; by default all.
    time_var
        Time coordinate of xarray datasets.
    workers
        Headers read at once.
    skip_errors
        Leave out what cannot be read, and list it.
    """
    import geocatalog

    glob, builder, names = _KINDS[kind]
    wanted = pattern or glob
    paths: list[str] = []
    for text in inputs:
        path = Path(text)
        is_folder = path.is_dir() and path.suffix != ".zarr"
        paths += sorted(map(str, path.glob(wanted))) if is_folder else [text]
    if not paths:
        raise CatalogError(f"no files: {inputs} hold nothing like {wanted}")
    options = {
        "filename_regex": regex,
        "date_format": date_format,
        "layer": layer,
        "time_var": time_var,
        "workers": workers,
        "asset_key": asset[0] if asset and len(asset) == 1 else asset,
        "target_crs": target_crs,
        "on_error": "skip" if skip_errors else "raise",
    }
    catalog: GeoCatalog = getattr(geocatalog, builder)(
        _stac_items(paths) if kind == "stac" else paths,
        **{name: options[name] for name in (*names, "target_crs", "on_error")},
    )
    written = geocatalog.to_geoparquet(catalog, output)
    lines = [f"skipped {path}: {reason}" for path, reason in catalog.skipped]
    skipped = [{"path": path, "reason": reason} for path, reason in catalog.skipped]
    _tell(
        json_output,
        catalog.facts() | {"path": written, "skipped": skipped},
        [f"{written}: {catalog!r}", *lines],
    )
    return 0


_DATED = ("filename_regex", "date_format", "workers")
_KINDS = {
    "raster": ("**/*.tif*", "build_raster_catalog", _DATED),
    "xarray": ("**/*.nc", "build_xarray_catalog", ("time_var", "workers")),
    "vector": ("**/*.g*", "build_vector_catalog", (*_DATED, "layer")),
    "stac": ("**/*.json", "from_stac_items", ("asset_key",)),
}
"""By kind: which files of a folder are meant, the builder, and its options of this command."""


def _stac_items(paths: list[str]) -> list[Any]:
    import pystac

    items: list[Any] = []
    for path in paths:
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CatalogError(f"{path} is not JSON that can be read: {error}") from error
        members = document.get("features", [document]) if isinstance(document, dict) else []
        for member in members:
            if member.get("type") != "Feature":
                raise CatalogError(f"{path} holds no STAC item, but a {member.get('type')!r}")
            item = pystac.Item.from_dict(member)
            item.set_self_href(item.get_self_href() or str(Path(path).absolute()))
            items.append(item)
    return items


@app.command
def query(
    catalog: Path,
    *,
    bounds: tuple[float, float, float, float] | None = None,
    crs: str | None = None,
    time: str | None = None,
    where: str | None = None,
    limit: int | None = None,
    output: Path | None = None,
    count: bool = False,
    json_output: Output = False,
) -> int:
    """List the files that touch a box, a time and a condition; exit code 3 when there is none.

    Example: geocatalog query june.parquet --bounds -120.1 38.9 -119.9 39.3 --crs EPSG:4326

    Parameters
    ----------
    bounds
        WEST SOUTH EAST NORTH, in --crs. West > east crosses the antimeridian.
    crs
        CRS of --bounds; by default the catalog's.
    time
        2024-06-01, 2024-06 or START/END.
    where
        SQL, e.g. 'cloud_cover < 10'.
    limit
        Print at most so many rows.
    output
        Write the answer as a catalog file.
    count
        Print only the number of rows.
    """
    from geocatalog import open_catalog, to_geoparquet

    found: GeoCatalog = open_catalog(catalog).query(bounds=bounds, crs=crs, time=time)
    if where is not None:
        found = found.where(where)
    number = len(found)
    if output is not None:
        to_geoparquet(found, output)
    rows = islice(found.iter_rows(), limit)
    if count:
        _tell(json_output, {"rows": number}, [str(number)])
    elif json_output:
        _tell(True, {"rows": number, "files": [_row(row) for row in rows]}, [])
    else:
        for row in rows:
            print(row.filepath)
    return 0 if number else NOTHING_FOUND


def _row(row: CatalogRow) -> dict[str, Any]:
    from geocatalog.catalog import as_json

    times = {"start_time": row.start_time, "end_time": row.end_time}
    plain = {name: as_json(value) for name, value in (times | row.extras).items()}
    return {"filepath": row.filepath, "bounds": list(row.bounds), **plain}


@app.command
def info(catalog: Path, *, check: bool = False, json_output: Output = False) -> int:
    """Describe a catalog file: rows, CRS, extents, columns; --check exits 3 if files are gone.

    Parameters
    ----------
    check
        Also look for local files that have gone.
    """
    from geocatalog.duckdb import open_catalog

    found = open_catalog(catalog)
    facts = found.facts()
    lines = [f"{name:16} {value}" for name, value in facts.items()]
    missing = found.missing_files() if check else []
    if check:
        facts["missing"] = missing
        lines += [f"missing          {path}" for path in missing] or ["missing          none"]
    _tell(json_output, facts, lines)
    return NOTHING_FOUND if missing else 0


@app.command
def convert(source: Path, target: Path, *, json_output: Output = False) -> int:
    """Write a catalog in another form, by the target's ending.

    .parquet rewrites in the newest layout, sorted; .geojson and .gpkg are for a GIS; .csv has
    footprints as WKT; .json is a STAC item collection. The source may be any of .parquet,
    .geojson and .gpkg.
    """
    import geopandas as gpd

    import geocatalog

    kind, ending = source.suffix.lower(), target.suffix.lower()
    if kind not in _READ:
        raise CatalogError(f"cannot read {source.suffix!r}; known are {', '.join(_READ)}")
    if ending not in _WRITTEN:
        raise CatalogError(f"cannot write {target.suffix!r}; known are {', '.join(_WRITTEN)}")
    if not source.exists():
        raise CatalogError(f"no catalog file at {source}")
    catalog: GeoCatalog = (
        geocatalog.from_geoparquet(source)
        if kind == ".parquet"
        else geocatalog.InMemoryGeoCatalog(gpd.read_file(source))
    )
    if ending == ".parquet":
        geocatalog.to_geoparquet(catalog, target)
    elif ending == ".json":
        from pystac import ItemCollection

        ItemCollection(geocatalog.to_stac_items(catalog)).save_object(str(target))
    elif ending == ".csv":
        catalog.gdf.to_wkt().to_csv(target, index=False)
    else:
        # RFC 7946: GeoJSON is always in longitude and latitude.
        frame = catalog.gdf.to_crs(4326) if ending == ".geojson" else catalog.gdf
        frame.to_file(target)
    _tell(json_output, catalog.facts() | {"path": str(target)}, [f"{target}: {catalog!r}"])
    return 0


_READ = (".parquet", ".geojson", ".gpkg")
_WRITTEN = (*_READ, ".csv", ".json")


def _tell(as_json: bool, facts: dict[str, Any], lines: list[str]) -> None:
    if as_json:
        print(json.dumps(facts, indent=1))
    else:
        print("\n".join(lines))


_OPTIONS = {
    "on_error='skip'": "--skip-errors",
    "target_crs=": "--target-crs",
    "asset_key=": "--asset",
    "bounds=": "--bounds",
    "crs=": "--crs",
}
"""How this command spells the arguments that errors name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; the entry point of `geocatalog`.

    Parameters
    ----------
    arguments
        Words of the command line after the name; by default those of this process.

    Returns
    -------
    0, or one of the exit codes that the module's text lists.

    Examples
    --------
    >>> main(["info", "nowhere.parquet"])
    1
    """
    try:
        code = app(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except CatalogError as error:
        reason = str(error)
        for argument, option in _OPTIONS.items():
            reason = reason.replace(argument, option)
        print(f"geocatalog: {reason}", file=sys.stderr)
        return 1
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):
            return 2
        raise
    return code if isinstance(code, int) else 0
