"""The `geostack` command: sources, cache, archive, notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from rich.filesize import decimal

from geostack.areas import AREAS, Area, area
from geostack.cache import cache_entries, cache_folder, clear_cache, is_writable
from geostack.errors import NoSceneError, SourceUnavailableError
from geostack.request import format_bbox
from pipekit.files import until_nobody_reads

if TYPE_CHECKING:
    from geostack.sources import Source

app = App(
    name="geostack",
    help="Satellite scenes by one call, and the notebooks that teach what to do with them.",
    help_epilogue=(
        "Where pixels come from: GEOSTACK_SOURCE=auto|planetary-computer|archive|simulated. "
        "Local scenes: GEOSTACK_ARCHIVE=FOLDER[:FOLDER]. Cache folder: GEOSTACK_CACHE."
    ),
)
cache_app = App(name="cache", help="Look at the cache folder, or empty it.")
archive_app = App(name="archive", help="Fill, check and list the local archive of real scenes.")
app.command(cache_app)
app.command(archive_app)


AtLeastOne = Annotated[int, Parameter(validator=Number(gte=1))]
Port = Annotated[int, Parameter(validator=Number(gte=0, lt=1 << 16))]

_DEFAULT_ASSETS = {
    "sentinel-2-l2a": ("B02", "B03", "B04", "B08", "SCL"),
    "landsat-c2-l2": ("blue", "green", "red", "nir08", "qa_pixel"),
    "naip": ("image",),
    "cop-dem-glo-30": ("data",),
}


@app.command
def sources(area_name: Annotated[str | None, Parameter(name="area")] = None) -> None:
    """Say which sources can be reached, and which one each area would use.

    Parameters
    ----------
    area_name
        Only this area, such as lake-tahoe.
    """
    from rich.console import Console
    from rich.table import Column, Table

    from geostack.sources import SOURCE_NAMES, open_source, source_name

    wanted = [area(area_name)] if area_name else list(AREAS.values())
    console, chosen = Console(), source_name()
    # Folded and not cut: an address or a folder is there to be copied.
    what = Column("what it is", overflow="fold")
    table = Table("source", "state", what, title="Sources of pixels", title_style="bold")
    for name in SOURCE_NAMES[1:]:
        source = open_source(name)
        ready = "[green]ready[/green]" if _is_ready(source) else "[dim]no[/dim]"
        table.add_row(name, ready, source.describe())
    console.print(table)
    table = Table("area", "tile", "dates", "would use", "or", title="Areas", title_style="bold")
    for place in wanted:
        where = f"[bold]{place.name}[/bold]\n[dim]{format_bbox(place.bbox)}[/dim]"
        dates = place.date_range.replace("/", "\n")
        table.add_row(where, place.tile, dates, *_would_use(place))
    console.print(table)
    console.print(f"GEOSTACK_SOURCE={chosen}", style="dim")


@app.command
def run(
    target: str = "walkthrough",
    *,
    out: Path | None = None,
    inplace: bool = False,
    check: bool = False,
    jobs: AtLeastOne = 1,
) -> int:
    """Execute notebooks of a clone of the repository.

    Parameters
    ----------
    target
        walkthrough, patching, catalog, assessment, all, or one notebook's name.
    out
        Folder for the executed copies; by default _build/notebooks in the clone.
    inplace
        Write the committed copies instead, which show real scenes; needs GEOSTACK_ARCHIVE.
    check
        Compare the committed copies with their sources too.
    jobs
        Notebooks that run at the same time.
    """
    runner = str(_clone() / "tools" / "run_notebooks.py")
    given = {"--inplace": inplace, "--check": check, f"--out={out}": out is not None}
    options = [option for option, is_given in given.items() if is_given]
    return subprocess.run([sys.executable, runner, target, f"--jobs={jobs}", *options]).returncode


def _clone() -> Path:
    """Return the clone of the repository: around the current folder, else of an editable install.

    `GEOSTACK_ROOT` overrides both. Raises FileNotFoundError where there is none.
    """
    chosen = os.environ.get("GEOSTACK_ROOT")
    here = Path.cwd()
    places = (
        [Path(chosen).expanduser()] if chosen else [here, *here.parents, Path(__file__).parents[2]]
    )
    for folder in places:
        if (folder / "notebooks").is_dir() and (folder / "tools" / "run_notebooks.py").is_file():
            return folder.resolve()
    where = f"GEOSTACK_ROOT={chosen} is no clone" if chosen else f"{here} is not inside a clone"
    raise FileNotFoundError(
        f"the notebooks are in the repository, not in the installed package, and {where} of it; "
        "change into the clone, or set GEOSTACK_ROOT to it"
    )


@app.command
def serve(*, pipelines: Path, host: str = "127.0.0.1", port: Port = 8000) -> None:
    """Serve pipelines and map tiles over HTTP until interrupted; needs geostack[serve].

    How much one client may ask for is a proxy's matter: put one before a server that strangers
    reach.

    Parameters
    ----------
    pipelines
        YAML file of pipelines and layers; see geostack.serve.settings.
    host
        Address to listen on; by default only this machine can connect.
    port
        Port to listen on; 0 for any free one.
    """
    from geostack.serve.app import create_app
    from geostack.serve.settings import read_settings

    served = create_app(**vars(read_settings(pipelines)))
    # After the check that says which extra is missing.
    import uvicorn

    from geostack.serve.connection import server_options

    uvicorn.run(served, host=host, port=port, **server_options(served))


@cache_app.command
def info() -> None:
    """Show the cache folder, what it holds and how much."""
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    folder = cache_folder()
    entries = cache_entries()
    table = Table("what", "size", "files", "last used", title=f"cache {folder}", title_style="bold")
    for entry in reversed(entries):
        used = f"{datetime.fromtimestamp(entry.last_used):%Y-%m-%d %H:%M}"
        name = str(entry.path.relative_to(folder))
        table.add_row(name, decimal(entry.size), str(entry.files), used)
    console = Console()
    console.print(table if entries else f"cache {folder} is empty")
    console.print(f"{decimal(sum(entry.size for entry in entries))} in all")
    if not is_writable(folder):
        console.print("it can't be written: what is in it is used, the rest goes elsewhere")


@cache_app.command
def clear(*, yes: bool = False) -> int:
    """Remove what is in the cache.

    Parameters
    ----------
    yes
        Don't ask.
    """
    held = sum(entry.size for entry in cache_entries())
    if not held:
        print(f"nothing to remove: {cache_folder()} is empty")
        return 0
    try:
        question = f"remove {decimal(held)} from {cache_folder()}? [y/N] "
        agreed = yes or input(question).strip().lower() in ("y", "yes")
    except (EOFError, RuntimeError):  # nobody is there to ask, or standard input is closed
        print()
        agreed = False
    if not agreed:
        print("left as it is; --yes removes without asking")
        return 1
    for entry in clear_cache():
        print(f"removed {entry.path} ({decimal(entry.size)})")
    return 0


@archive_app.command
def fetch(
    place: Annotated[str | None, Parameter(name="area")] = None,
    *,
    bbox: str | None = None,
    dates: str | None = None,
    bands: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    collection: str = "sentinel-2-l2a",
    tile: str | None = None,
    max_cloud_cover: float = 5.0,
    limit: AtLeastOne = 1,
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
    from geostack.request import Request

    assets = _assets(bands, collection)
    if (place is None) == (bbox is None):
        raise ValueError("say where: an area's name, or --bbox=WEST,SOUTH,EAST,NORTH, and not both")
    known = area(place) if place else None
    usual = known.date_range if known else None
    dates = dates or ("../.." if collection == "cop-dem-glo-30" else usual)
    if dates is None:
        raise ValueError("say when: --dates=START/END")
    is_sentinel = collection == "sentinel-2-l2a"
    request = Request(
        collection,
        known.bbox if known else _box(str(bbox)),
        dates,
        tile=tile or (known.tile if known and is_sentinel else None),
        max_cloud_cover=max_cloud_cover if is_sentinel or collection == "landsat-c2-l2" else None,
    )
    done = fetch_scenes(request, assets, folder=to, limit=limit)
    for name in done.items:
        print(f"{name} is in {done.folder}")
    for name in done.missing:
        print(f"not there: {name}")
    print(f"{len(done.items)} scenes, {decimal(done.transferred)} copied")
    return 1 if done.missing else 0


@archive_app.command
def check(folder: Path | None = None) -> int:
    """Verify every file of the archive: there, whole, undamaged, readable.

    Parameters
    ----------
    folder
        By default all of GEOSTACK_ARCHIVE.
    """
    from geostack.archiving import check as check_folder

    folders = _folders(folder)
    problems = [problem for root in folders for problem in check_folder(root)]
    print(*problems, sep="\n", end="\n" if problems else "")
    checked = ", ".join(map(str, folders))
    print(f"{len(problems)} problems in {checked}" if problems else f"all well in {checked}")
    return 1 if problems else 0


@archive_app.command(name="list")
def list_holdings(folder: Path | None = None) -> None:
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
        size, folder_name = decimal(held.size), str(held.folder)
        table.add_row(held.collection, str(held.items), held.first, held.last, size, folder_name)
    Console().print(table if table.row_count else "the archive is empty")


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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an expected error is one clear message and exit status 1 or 2.

    Whoever reads the output may stop, as `head` does: then it ends quietly, with status 141.

    Parameters
    ----------
    arguments
        Those of the command; by default the process's.

    Raises
    ------
    SystemExit
        Always, with the status.
    """
    try:
        status = until_nobody_reads(
            lambda: app(arguments, result_action="return_value", exit_on_error=False)
        )
    except CycloptsError:  # it has said what is wrong
        raise SystemExit(2) from None
    except (NoSceneError, OSError, ImportError, ValueError) as error:
        print(f"geostack: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, ValueError) else 1) from None
    raise SystemExit(status if isinstance(status, int) else 0)


def _is_ready(source: Source) -> bool:
    from geostack.sources.archive import ArchiveSource
    from geostack.sources.planetary_computer import PlanetaryComputerSource

    if isinstance(source, PlanetaryComputerSource):
        return source.reachable()
    return bool(source.present) if isinstance(source, ArchiveSource) else True


def _would_use(place: Area) -> tuple[str, str]:
    """Return which source answers for an area, and which others would, without building any."""
    from geostack.request import Request
    from geostack.sources import SOURCE_NAMES, open_source, select

    request = Request("sentinel-2-l2a", place.bbox, place.date_range, tile=place.tile)
    able = [name for name in SOURCE_NAMES[1:] if open_source(name).covers(**request.query())]
    try:
        chosen = select(None, request).name
    except SourceUnavailableError:
        return "[red]none[/red]", "set GEOSTACK_ARCHIVE or connect"
    style = "green" if chosen in able else "red"
    others = ", ".join(name for name in able if name != chosen)
    return f"[{style}]{chosen}[/{style}]", others or "[dim]-[/dim]"


if __name__ == "__main__":
    main()
