"""The `geostack` command: sources, cache, archive, notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from geostack.archive_cli import app as archive_app
from geostack.areas import AREAS, Area, area
from geostack.cache import format_size, parse_size
from geostack.errors import NoSceneError, SourceUnavailableError
from geostack.request import format_bbox

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
app.command(cache_app)
app.command(archive_app)

_MARKS = {True: "[green]ready[/green]", False: "[dim]no[/dim]"}


@app.command
def sources(area_name: Annotated[str | None, Parameter(name="area")] = None) -> int:
    """Say which sources can be reached, and which one each area would use.

    Parameters
    ----------
    area_name
        Only this area, such as lake-tahoe.
    """
    from rich.console import Console

    from geostack.sources import source_name

    wanted = [area(area_name)] if area_name else list(AREAS.values())
    console, chosen = Console(), source_name()
    console.print(_sources_table())
    console.print(_areas_table(wanted))
    console.print(f"GEOSTACK_SOURCE={chosen}", style="dim")
    return 0


@app.command
def run(
    target: str = "walkthrough",
    *,
    out: Path | None = None,
    inplace: bool = False,
    check: bool = False,
    jobs: int = 1,
) -> int:
    """Execute notebooks of a clone of the repository.

    Parameters
    ----------
    target
        walkthrough, patching, catalog, all, or one notebook's name.
    out
        Folder for the executed copies; by default _build/notebooks in the clone.
    inplace
        Write the committed copies instead, which show real scenes; needs GEOSTACK_ARCHIVE.
    check
        Compare the committed copies with their sources too.
    jobs
        Notebooks that run at the same time.
    """
    try:
        runner = _clone() / "tools" / "run_notebooks.py"
    except FileNotFoundError as error:
        print(f"geostack run: {error}", file=sys.stderr)
        return 2
    options = [
        f"--jobs={jobs}",
        *(["--inplace"] if inplace else []),
        *(["--check"] if check else []),
    ]
    options += [f"--out={out}"] if out is not None else []
    return subprocess.run([sys.executable, str(runner), target, *options]).returncode


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
    if chosen:
        raise FileNotFoundError(
            f"GEOSTACK_ROOT must name a clone of the geostack repository, got {chosen}, which has "
            "no notebooks folder beside its tools; correct it or unset it"
        )
    raise FileNotFoundError(
        f"the notebooks are in the repository, not in the installed package, and {here} is not "
        "inside a clone of it; change into the clone, or set GEOSTACK_ROOT to it"
    )


@app.command
def serve(*, pipelines: Path, host: str = "127.0.0.1", port: int = 8000) -> int:
    """Serve pipelines and map tiles over HTTP; needs the extra geostack[serve].

    Parameters
    ----------
    pipelines
        YAML file of pipelines and layers; see geostack.serve.settings.
    host
        Address to listen on; by default only this machine can connect.
    port
        Port to listen on; 0 for any free one.
    """
    from geostack.serve.settings import read_settings
    from geostack.serve.settings import run as run_server

    try:
        run_server(read_settings(pipelines), host, port)
    except ImportError as error:
        print(f"geostack: {error}", file=sys.stderr)
        return 1
    return 0


@cache_app.command
def info() -> int:
    """Show the cache folder, what it holds and how much."""
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    from geostack.cache import cache_entries, cache_folder, is_writable

    folder = cache_folder()
    entries = cache_entries(folder)
    table = Table("what", "size", "files", "last used", title=f"cache {folder}", title_style="bold")
    for entry in reversed(entries):
        used = f"{datetime.fromtimestamp(entry.last_used):%Y-%m-%d %H:%M}"
        name = str(entry.path.relative_to(folder))
        table.add_row(name, format_size(entry.size), str(entry.files), used)
    console = Console()
    console.print(table if entries else f"cache {folder} is empty")
    console.print(f"{format_size(sum(entry.size for entry in entries))} in all")
    if not is_writable(folder):
        console.print("it can't be written: what is in it is used, the rest goes elsewhere")
    return 0


@cache_app.command
def clear(*, keep: str = "0", yes: bool = False) -> int:
    """Remove the least recently used parts of the cache.

    Parameters
    ----------
    keep
        Remove only as much as it takes to come down to this size, such as 500MB.
    yes
        Don't ask.
    """
    from geostack.cache import cache_entries, cache_folder, clear_cache

    limit = parse_size(keep)
    held = sum(entry.size for entry in cache_entries())
    if held <= limit:
        print(f"nothing to remove: {cache_folder()} holds {format_size(held)}")
        return 0
    question = f"remove {format_size(held - limit)} or more from {cache_folder()}? [y/N] "
    if not yes and _answer(question) not in ("y", "yes"):
        print("left as it is; --yes removes without asking")
        return 1
    for entry in clear_cache(max_bytes=limit):
        print(f"removed {entry.path} ({format_size(entry.size)})")
    return 0


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:  # nobody is there to ask
        print()
        return ""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an expected error is one clear message and exit status 1 or 2."""
    try:
        status: Any = app(arguments)
    except (SourceUnavailableError, NoSceneError, OSError) as error:
        print(f"geostack: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except ValueError as error:
        print(f"geostack: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(status if isinstance(status, int) else 0)


def _sources_table() -> Any:
    from rich.table import Column, Table

    from geostack.sources import SOURCE_NAMES, open_source

    # Folded and not cut: an address or a folder is there to be copied.
    what = Column("what it is", overflow="fold")
    table = Table("source", "state", what, title="Sources of pixels", title_style="bold")
    for name in SOURCE_NAMES[1:]:
        source = open_source(name)
        table.add_row(name, _MARKS[_is_ready(source)], source.describe())
    return table


def _is_ready(source: Source) -> bool:
    from geostack.sources.archive import ArchiveSource
    from geostack.sources.planetary_computer import PlanetaryComputerSource

    if isinstance(source, PlanetaryComputerSource):
        return source.reachable()
    return bool(source.present) if isinstance(source, ArchiveSource) else True


def _areas_table(wanted: list[Area]) -> Any:
    from rich.table import Table

    table = Table("area", "tile", "dates", "would use", "or", title="Areas", title_style="bold")
    for place in wanted:
        first, others = _would_use(place)
        table.add_row(
            f"[bold]{place.name}[/bold]\n[dim]{format_bbox(place.bbox)}[/dim]",
            place.tile,
            place.date_range.replace("/", "\n"),
            first,
            others,
        )
    return table


def _would_use(place: Area) -> tuple[str, str]:
    """Return which source answers for an area, and which others would, without building any."""
    from geostack.request import Request
    from geostack.sources import SOURCE_NAMES, open_source, select

    request = Request.of("sentinel-2-l2a", place.bbox, place.date_range, tile=place.tile)
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
