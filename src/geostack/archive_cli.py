"""`geostack archive fetch|check|list`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from geostack.areas import area
from geostack.cache import format_size

if TYPE_CHECKING:
    from geostack.request import Request

app = App(name="archive", help="Fill, check and list the local archive of real scenes.")

_DEFAULT_ASSETS = {
    "sentinel-2-l2a": ("B02", "B03", "B04", "B08", "SCL"),
    "landsat-c2-l2": ("blue", "green", "red", "nir08", "qa_pixel"),
    "naip": ("image",),
    "cop-dem-glo-30": ("data",),
}


@app.command
def fetch(
    place: Annotated[str | None, Parameter(name="area")] = None,
    *,
    bbox: str | None = None,
    dates: str | None = None,
    bands: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    collection: str = "sentinel-2-l2a",
    tile: str | None = None,
    max_cloud_cover: float = 5.0,
    limit: int = 1,
    to: Path | None = None,
) -> int:
    """Copy the clearest scenes from the live service into the archive.

    Safe to run twice: whole files are not copied again, broken ones go on where they stopped.
    The exit status is 1 when a scene lacks one of the bands.

    Parameters
    ----------
    place
        An area's name, such as lake-tahoe (see geostack sources).
    bbox
        In place of an area: WEST,SOUTH,EAST,NORTH in degrees.
    dates
        START/END; by default the area's.
    bands
        Which files of each scene, such as B04 B08.
    collection
        sentinel-2-l2a, landsat-c2-l2, naip or cop-dem-glo-30.
    tile
        MGRS tile; by default the area's.
    max_cloud_cover
        Percent.
    limit
        At most so many scenes; a Sentinel-2 band has about 100 MB.
    to
        The archive's folder; by default the first of GEOSTACK_ARCHIVE.
    """
    from geostack.archiving import fetch as fetch_scenes

    assets = _assets(bands, collection)
    request = _request(place, bbox, dates, collection, tile, max_cloud_cover)
    done = fetch_scenes(request, assets, folder=to, limit=limit)
    for name in done.items:
        print(f"{name} is in {done.folder}")
    for name in done.missing:
        print(f"not there: {name}")
    print(f"{len(done.items)} scenes, {format_size(done.transferred)} copied")
    return 1 if done.missing else 0


@app.command
def check(folder: Path | None = None) -> int:
    """Verify every file of the archive: there, whole, undamaged, readable.

    Parameters
    ----------
    folder
        By default all of GEOSTACK_ARCHIVE.
    """
    from geostack.archiving import check as check_folder

    problems = [problem for root in _folders(folder) for problem in check_folder(root)]
    for problem in problems:
        print(problem)
    checked = ", ".join(str(root) for root in _folders(folder))
    print(f"{len(problems)} problems in {checked}" if problems else f"all well in {checked}")
    return 1 if problems else 0


@app.command(name="list")
def list_holdings(folder: Path | None = None) -> int:
    """List what the archive holds.

    Parameters
    ----------
    folder
        By default all of GEOSTACK_ARCHIVE.
    """
    from rich.console import Console
    from rich.table import Table

    from geostack.archiving import holdings

    table = Table("collection", "scenes", "from", "to", "size", "folder")
    for held in holdings(_folders(folder)):
        table.add_row(
            held.collection,
            str(held.items),
            held.first,
            held.last,
            format_size(held.size),
            str(held.folder),
        )
    Console().print(table if table.row_count else "the archive is empty")
    return 0


def _assets(bands: list[str] | None, collection: str) -> tuple[str, ...]:
    assets = tuple(bands or _DEFAULT_ASSETS.get(collection, ()))
    if not assets:
        raise ValueError(f"say which files of {collection} to fetch: --bands NAME NAME")
    if collection == "sentinel-2-l2a":
        from geostack.loaders.sentinel2 import check_bands

        return check_bands(assets)
    return assets


def _box(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--bbox must be WEST,SOUTH,EAST,NORTH in degrees, got {text!r}") from None


def _folders(folder: Path | None) -> list[Path]:
    from geostack.sources.archive import archive_folders

    folders = [folder] if folder else archive_folders()
    present = [root for root in folders if root.is_dir()]
    if not present:
        raise FileNotFoundError(
            f"no archive at {', '.join(map(str, folders))}; "
            "fill one with geostack archive fetch AREA"
        )
    return present


def _request(
    place: str | None,
    bbox: str | None,
    dates: str | None,
    collection: str,
    tile: str | None,
    max_cloud_cover: float,
) -> Request:
    from geostack.request import Request

    if (place is None) == (bbox is None):
        raise ValueError("say where: an area's name, or --bbox=WEST,SOUTH,EAST,NORTH, and not both")
    known = area(place) if place else None
    box = known.bbox if known else _box(str(bbox))
    when = dates or (known.date_range if known else None)
    if collection == "cop-dem-glo-30":
        when = when if dates else "../.."
    if when is None:
        raise ValueError("say when: --dates=START/END")
    is_sentinel = collection == "sentinel-2-l2a"
    cloudy = is_sentinel or collection == "landsat-c2-l2"
    return Request.of(
        collection,
        box,
        when,
        tile=tile or (known.tile if known and is_sentinel else None),
        max_cloud_cover=max_cloud_cover if cloudy else None,
    )
