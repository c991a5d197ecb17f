"""The command `geocatalog`: build a catalog file, ask it, describe it, convert it.

Exit codes: 0 done; 1 the catalog, the files or the question were wrong (the reason is on standard
error); 2 the command line was wrong; 3 `query` found nothing, or `info --check` found files
missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from io import BytesIO
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from geocatalog.errors import CatalogError
from pipekit.files import keep_inputs, until_nobody_reads, whole
from pipekit.places import place_of, store_of

if TYPE_CHECKING:
    from geocatalog.catalog import CatalogRow, GeoCatalog, InMemoryGeoCatalog

NOTHING_FOUND = 3
"""Exit code of a command that worked and whose answer is "none"."""

app = App(
    name="geocatalog",
    help="Catalogs of raster, xarray and vector files: build once, query without opening a file.",
    help_format="plaintext",
    version=lambda: version("geostack"),
)

Workers = Annotated[int, Parameter(validator=Number(gte=1))]
Limit = Annotated[int | None, Parameter(validator=Number(gte=0, lte=sys.maxsize))]
Output = Annotated[bool, Parameter(name="--json", help="Print JSON instead of text.")]


@app.command
def build(
    output: str,
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
    workers: Workers = 32,
    skip_errors: bool = False,
    json_output: Output = False,
) -> int:
    r"""Read headers and write a catalog file (GeoParquet).

    Example: geocatalog build june.parquet scenes/ --regex '_(?P<date>\d{8})T'

    Parameters
    ----------
    output
        A path, or a place on an object store (s3://, gs://, az://).
    inputs
        Files, URLs, or folders, which are searched with all that is in them; those of an object
        store end in a slash. Hidden files and the side files of GDAL (.aux.xml, .ovr, .msk, .tfw,
        .prj) are passed over.
    kind
        What the inputs are; stac reads STAC item or item collection JSON, and passes over the
        catalogs and collections beside them.
    pattern
        Glob for folders, in any case; by default the endings of the kind.
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

    endings, builder, names = _KINDS[kind]
    folders = [text for text in inputs if _is_folder(text)]
    found = {folder: list(_found(folder, pattern, endings)) for folder in folders}
    paths = [path for text in inputs for path in found.get(text, [text])]
    if not paths:
        wanted = pattern or ", ".join(f"*{ending}" for ending in endings)
        raise CatalogError(f"no files: {inputs} hold nothing like {wanted}")
    _keep(output, paths)
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
    passed: list[tuple[str, str]] = []
    if kind == "stac":
        searched = {path for each in found.values() for path in each}
        items = _stac_items(paths, searched, skip_errors, passed)
    catalog: GeoCatalog = getattr(geocatalog, builder)(
        items if kind == "stac" else paths,
        **{name: options[name] for name in (*names, "target_crs", "on_error")},
    )
    catalog.skipped = passed + catalog.skipped
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
_VECTOR = (".gpkg", ".geojson", ".geojsonl", ".geojsons", ".geoparquet", ".gml", ".gpx", ".gdb")
_KINDS = {
    "raster": ((".tif", ".tiff"), "build_raster_catalog", _DATED),
    "xarray": ((".nc", ".nc4"), "build_xarray_catalog", (*_DATED, "time_var")),
    "vector": (_VECTOR, "build_vector_catalog", (*_DATED, "layer")),
    "stac": ((".json",), "from_stac_items", ("asset_key",)),
}
"""By kind: which files of a folder are meant, the builder, and its options of this command."""

_SIDE_FILES = (
    ".aux", ".aux.xml", ".ovr", ".msk", ".tfw", ".tifw", ".wld", ".prj", ".rpb", ".imd", ".gfs",
    ".gpkg-shm", ".gpkg-wal", ".gpkg-journal",
)  # fmt: skip
"""What GDAL and SQLite write beside a file; an overview and a mask are TIFFs too."""

_STORES = (".zarr", ".gdb")
"""Folders that are one file to who reads them."""


def _is_folder(text: str) -> bool:
    if store_of(text) is not None:
        return text.endswith("/")
    return Path(text).is_dir() and Path(text).suffix.lower() not in _STORES


def _found(folder: str, pattern: str | None, endings: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder that are meant, sorted; side files only by name."""
    import re
    from fnmatch import translate

    globs = [f"**/*{ending}" for ending in endings] if pattern is None else [pattern]
    inside: dict[Any, PurePath]
    if (store := store_of(folder)) is not None:
        inside = {place: PurePath(str(place)[len(str(store)) + 1 :]) for place in store.below()}
        # A name may stand in the folder itself, or in one below where the glob begins with "**/".
        names = {name.lower() for glob in globs for name in (glob, glob.removeprefix("**/"))}
        told = re.compile("|".join(map(translate, sorted(names))))
        wanted = [place for place, path in inside.items() if told.match(path.as_posix().lower())]
    else:
        # Upper case is another letter to a glob on Linux: each letter becomes both.
        both = [re.sub("[A-Za-z]", lambda c: f"[{c[0].lower()}{c[0].upper()}]", g) for g in globs]
        inside = {path: path.relative_to(folder) for g in both for path in Path(folder).glob(g)}
        wanted = [path for path in inside if not _is_folder(str(path))]
    for path in sorted(wanted, key=lambda path: inside[path]):
        name = path.name.lower()
        side = next((end for end in _SIDE_FILES if name.endswith(end)), None)
        meant = side is None or (pattern or "").lower().endswith(side)
        if meant and not any(part.startswith(".") for part in inside[path].parts):
            yield str(path)


def _keep(output: str, inputs: Sequence[str]) -> None:
    """Refuse to write a catalog over an input, or over a file that is no catalog."""
    keep_inputs(output, inputs, "the command", CatalogError)
    head = b""
    if (place := store_of(output)) is not None:
        head = place.read(0, 4) if place.exists() else head
    elif Path(output).is_file():
        with open(output, "rb") as file:
            head = file.read(4)
    if head not in (b"", b"PAR1"):
        raise CatalogError(
            f"{output} is there and is no Parquet file; the first path is that of the "
            "catalog to write: name another, or remove the file"
        )


def _stac_items(
    paths: list[str], searched: set[str], skip_errors: bool, passed: list[tuple[str, str]]
) -> Iterator[Any]:
    """Yield the items in JSON files; note in `passed` what is none or cannot be read.

    Catalogs and collections are what a search finds beside items: they are no news.
    """
    import pystac

    for path in paths:
        try:
            place = place_of(path)
            text = Path(path).read_bytes() if place is None else place.read()
            document = json.loads(text.decode("utf-8-sig"))
        except (OSError, ValueError) as error:
            _pass(f"{path} is not JSON that can be read: {error}", path, skip_errors, passed)
            continue
        kind = document.get("type") if isinstance(document, dict) else None
        members = document.get("features") if kind == "FeatureCollection" else [document]
        if path in searched and kind in ("Catalog", "Collection"):
            continue
        for member in members if isinstance(members, list) else [members]:
            own = member.get("type") if isinstance(member, dict) else type(member).__name__
            if own != "Feature" or "stac_version" not in member:
                why = f"{path} holds no STAC item, but a {own!r}"
                _pass(why, path, skip_errors or path in searched, passed)
                continue
            try:
                item = pystac.Item.from_dict({"id": member["id"], **member})
                own = str(Path(path).absolute()) if place is None else str(place)
                item.set_self_href(item.get_self_href() or own)
            except Exception as error:  # each field fails in its own way
                name, why = f"{path}: item {member.get('id')!r}", type(error).__name__
                _pass(f"{name} is malformed: {why}: {error}", path, skip_errors, passed)
                continue
            yield item


def _pass(why: str, path: str, skip: bool, passed: list[tuple[str, str]]) -> None:
    """Note what is left out, or refuse it."""
    if not skip:
        raise CatalogError(f"{why}; pass on_error='skip' to leave such files out")
    passed.append((path, why.removeprefix(f"{path} ").removeprefix(f"{path}: ")))


@app.command
def query(
    catalog: str,
    *,
    bounds: tuple[float, float, float, float] | None = None,
    crs: str | None = None,
    time: str | None = None,
    where: str | None = None,
    limit: Limit = None,
    output: str | None = None,
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
        _keep(output, [catalog])
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
    from geocatalog.table import as_json

    times = {"start_time": row.start_time, "end_time": row.end_time}
    plain = {name: as_json(value) for name, value in (times | row.extras).items()}
    return {"filepath": row.filepath, "bounds": as_json(list(row.bounds)), **plain}


@app.command
def info(catalog: str, *, check: bool = False, json_output: Output = False) -> int:
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
def convert(source: str, target: str, *, json_output: Output = False) -> int:
    """Write a catalog in another form, by the target's ending.

    .parquet rewrites in the newest layout, sorted; .geojson and .gpkg are for a GIS; .csv has
    footprints as WKT; .json is a STAC item collection. Lists and dicts become JSON. The source may
    be any of .parquet, .geojson and .gpkg, or a catalog's folder.
    """
    import geopandas as gpd

    import geocatalog

    kind, ending = (Path(name).suffix.lower() for name in (source, target))
    goal, place = store_of(target) or Path(target), place_of(source)
    if place is None and not Path(source).exists():
        raise CatalogError(f"no catalog file at {source}")
    if kind not in _READ and not _is_folder(source):
        raise CatalogError(f"cannot read {Path(source).suffix!r}; known are {', '.join(_READ)}")
    if ending not in _WRITTEN:
        raise CatalogError(f"cannot write {Path(target).suffix!r}; known are {', '.join(_WRITTEN)}")
    keep_inputs(target, [source], "convert", CatalogError)
    if kind == ".parquet" or _is_folder(source):
        catalog = geocatalog.open_catalog(source, engine="memory")
    else:
        given = source if place is None else BytesIO(place.read())
        catalog = geocatalog.InMemoryGeoCatalog(gpd.read_file(given))
    if ending == ".parquet":
        geocatalog.to_geoparquet(catalog, target)
    else:
        if isinstance(goal, Path) and not goal.parent.is_dir():
            raise CatalogError(f"there is no folder {goal.parent} for {goal.name}; make it first")
        with whole(goal) as unfinished:
            _write_as(ending, catalog, unfinished, Path(target).stem)
    _tell(json_output, catalog.facts() | {"path": str(target)}, [f"{target}: {catalog!r}"])
    return 0


def _write_as(ending: str, catalog: InMemoryGeoCatalog, path: Path, name: str) -> None:
    """Write a catalog in a form that is not its own, as a layer of this name."""
    from pandas.api.types import is_list_like

    from geocatalog.footprint import as_crs
    from geocatalog.table import as_json

    if ending == ".json":
        from pystac import ItemCollection

        from geocatalog import to_stac_items

        ItemCollection(to_stac_items(catalog)).save_object(str(path))
        return
    # RFC 7946: GeoJSON is always in longitude and latitude.
    in_degrees = ending == ".geojson"
    frame = catalog.table_in(as_crs(4326)).frame.copy() if in_degrees else catalog.gdf
    for column in catalog.columns[4:]:
        if any(map(is_list_like, frame[column])):  # which others write as Python spells them
            frame[column] = [
                json.dumps(as_json(each)) if is_list_like(each) else each for each in frame[column]
            ]
    if ending == ".csv":
        frame.to_wkt().to_csv(path, index=False)
    else:
        frame.to_file(path, layer=name)


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
        how: Any = {"result_action": "return_value", "exit_on_error": False, "print_error": True}
        code = until_nobody_reads(lambda: app(arguments, **how))
    except (CatalogError, OSError) as error:
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
