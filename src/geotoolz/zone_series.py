"""Series over polygons: what each zone shows on every pass of a catalog's scenes.

Passes are worked on side by side, each by itself (`zone_pass`), and their rows go to a frame, or to
a Parquet file that grows pass by pass. With a journal a run that was killed goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from geocatalog import CatalogError
from geotoolz.scenes import Scene, passes_of, scenes_to_read
from geotoolz.zone_pass import PassJob, Skipped
from geotoolz.zone_statistics import check_statistics
from geotoolz.zones import Zones
from pipekit.files import beside, keep_inputs
from pipekit.fingerprint import content_hash, fingerprint
from pipekit.journal import Journal
from pipekit.operator import checked_count, checked_option
from pipekit.parallel import in_order
from pipekit.schedulers import all_workers, check_scheduler, scheduling


def zonal(
    catalog: Any,
    polygons: Any,
    bands: Sequence[str] | None = None,
    *,
    operator: Callable[[Any], Any] | None = None,
    mask: Any = None,
    mask_bands: Sequence[str] | None = None,
    statistics: Sequence[str] = ("mean", "count", "clear"),
    radiometry: Any = "auto",
    resampling: str = "nearest",
    time: Any = None,
    max_cloud_cover: float | None = None,
    same_pass: str | None = "10min",
    target: Any = None,
    journal: Any = None,
    scheduler: Any = "threads",
    workers: int | None = None,
    on_error: str = "raise",
    progress: bool = True,
) -> Any:
    r"""Return statistics of a catalog's pixels under polygons, for each pass, polygon and band.

    Every pixel counts by the exact share of it that a polygon covers, on the scenes' own pixels.
    `geotoolz.zone_statistics` defines the statistics, `geotoolz.zone_pass` how a polygon that
    several scenes of a pass see is counted once.

    Parameters
    ----------
    catalog
        A catalog of rasters or STAC items; see `geotoolz.scenes.scenes_of`.
    polygons
        A GeoDataFrame or GeoSeries with a CRS; its index names the zones. Invalid polygons are
        mended; those that are empty, missing or that no scene touches give no rows.
    bands
        To read; by default all that the catalog lists but the mask's.
    operator
        Made of the bands (C, h, w) of a scene, radiometry and mask done, before anything is
        counted: `NDVI("B04", "B08")`. It says by `radius` how far it looks. By default the bands
        themselves.
    mask
        Sentinel-2's SCL classes that do not count, as `SCL_CLOUDS_AND_INVALID`, or an operator that
        makes a mask of a scene, True where a pixel is dropped. None drops nothing but nodata.
    mask_bands
        Bands that only the mask needs; those of the operators of this package are known.
    statistics
        "count", "clear", "mean", "std", "min", "max", "sum", "median", quantiles such as "q10", and
        of classes "majority" and shares such as "share_6".
    radiometry
        "auto" takes Sentinel-2's +1000 away where a scene's own baseline has it; an operator of a
        scene; or None.
    resampling
        Rasterio's name of the method, for bands whose pixels are not those of the scene's first.
    time
        As `GeoCatalog.query` takes it; by default any.
    max_cloud_cover
        Percent; scenes that are known to be cloudier are not read.
    same_pass
        Scenes that begin within this time of each other are one observation; None takes each for
        one.
    target
        A Parquet file (.parquet) to write; by default a frame in memory.
    journal
        A file that makes the run resumable: after a crash the same call goes on, and writes the
        same bytes. It needs a target.
    scheduler
        "threads", "processes", "dask", or a `distributed.Client`.
    workers
        Passes at the same time; by default all cores, or all threads of a cluster.
    on_error
        "raise", or "skip" to leave out passes that cannot be read; `attrs["skipped"]` lists them.
    progress
        Whether a bar is shown.

    Returns
    -------
    GeoDataFrame or Path
        Columns `zone`, `date` (UTC, when the pass began), `band`, one for each statistic, and
        `geometry`; sorted by date, zone and band. With a target its path: the same columns but
        `geometry`, which `zone` joins.

    Raises
    ------
    CatalogError
        For arguments that do not fit the catalog or a journal of another run, before anything is
        read.
    PixelReadError
        When a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geocatalog import build_raster_catalog
    >>> from geotoolz import write_cog
    >>> place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    >>> field = gpd.GeoSeries([shapely.box(500_000, 4_999_985, 500_020, 5_000_000)], crs=32632)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [
    ...         write_cog(GeoTensor(np.full((1, 8, 8), day, "float32"), place, "EPSG:32632"),
    ...                   f"{folder}/scene_2024060{day}.tif")
    ...         for day in (1, 2)
    ...     ]
    ...     catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    ...     series = zonal(catalog, field, progress=False)
    >>> series[["zone", "band", "mean", "count", "clear"]].values.tolist()
    [[0, 'band_1', 1.0, 3.0, 1.0], [0, 'band_1', 2.0, 3.0, 1.0]]
    """
    check_scheduler(scheduler, CatalogError)
    checked_option(on_error, "on_error", ("raise", "skip"))
    names = check_statistics(statistics)
    if workers is not None:
        checked_count(workers, "workers")
    zones = Zones(polygons)
    _check_names(zones, target)
    west, south, east, north = zones.bounds
    scenes, reading = scenes_to_read(
        catalog,
        bands,
        mask=mask,
        mask_bands=mask_bands,
        radiometry=radiometry,
        resampling=resampling,
        time=time,
        max_cloud_cover=max_cloud_cover,
        bounds=(west, south, east, north),
        crs="EPSG:4326",
    )
    job = PassJob(zones, reading, names, operator, on_error)
    there = [scene for scene in scenes if len(zones.near(scene.outline_in("EPSG:4326")))]
    passes = passes_of(there, same_pass)
    run = _Run(job, passes, scheduler, workers or all_workers(scheduler), progress)
    if target is None:
        if journal is not None:
            raise CatalogError("journal= needs target=, the file that a later run goes on with")
        return run.frame(polygons)
    return run.parquet(target, journal)


def _check_names(zones: Zones, target: Any) -> None:
    """Refuse labels that no column holds, before anything is read."""
    try:
        kind = pa.array(zones.names).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kind = None
    # Parquet would give what is no plain type of its own back as the numbers behind it.
    own = isinstance(kind, pa.BaseExtensionType) or (kind and pa.types.is_duration(kind))
    if kind is None or pa.types.is_nested(kind) or (own and target is not None):
        raise ValueError(
            "the index names the polygons by labels of one kind, such as numbers or texts, got "
            f"{list(zones.names[:3])}; use polygons.set_axis(polygons.index.map(str))"
        )


@dataclass(frozen=True)
class PassRecord:
    """A pass that is wholly done: what tells it from others, and what was left out of it."""

    key: str
    rows: int
    skipped: Skipped = field(default_factory=list)


@dataclass
class _Run:
    """One call of `zonal`: a job, its passes, and who works on them."""

    job: PassJob
    passes: list[list[Scene]]
    scheduler: Any
    workers: int
    progress: bool

    def frame(self, polygons: Any) -> Any:
        """Return all rows as a GeoDataFrame."""
        from geopandas import GeoDataFrame

        found = [made for _, made in self._each(range(len(self.passes)))]
        tables = [self.job.schema.empty_table(), *(table for table, _ in found)]
        rows = pa.concat_tables(tables).to_pandas()
        shapes = polygons.geometry.to_numpy()[self.job.zones.names.get_indexer(rows["zone"])]
        frame = GeoDataFrame(rows, geometry=shapes, crs=polygons.crs)
        frame.attrs["skipped"] = [each for _, left_out in found for each in left_out]
        return frame

    def parquet(self, target: Any, journal: Any) -> Path:
        """Write all rows to a Parquet file, a row group for each pass."""
        path = Path(target)
        if path.suffix.lower() != ".parquet":
            raise CatalogError(f"target must end in .parquet, got {str(target)!r}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"the target's folder does not exist: {path.parent}")
        keep_inputs(path, (p for s in self.passes for one in s for p in one.paths), "zonal")
        if journal is None:
            self._write(path, (made for _, made in self._each(range(len(self.passes)))))
            return path
        keys = [content_hash([scene.told for scene in scenes]) for scenes in self.passes]
        parts = path.with_name(f".{path.name}.parts")
        with Journal(journal, self._identity(path), PassRecord, CatalogError) as record:
            # What an earlier run was told to skip is tried again by one that is to raise.
            raises = self.job.on_error == "raise"
            again = {key for key, done in record.done.items() if raises and done.skipped}
            same = set(keys) == set(record.done) and not again
            if record.finished and path.exists() and same:
                return path
            self._finish_parts(parts, keys, record, again)
            files = (parts / f"{key}.parquet" for key in keys)
            left_out = (record.done[key].skipped for key in keys)
            self._write(path, zip(map(pq.read_table, files), left_out, strict=True))
            record.finish()
        shutil.rmtree(parts, ignore_errors=True)
        return path

    def _finish_parts(
        self, parts: Path, keys: list[str], record: Journal[PassRecord], again: set[str]
    ) -> None:
        """Have the rows of every pass in a file of their own: from an earlier run, or made now."""
        parts.mkdir(exist_ok=True)
        if record.finished:
            record.restart()  # its parts went with it, or the catalog has other passes now
        there = {each.stem for each in parts.glob("*.parquet") if each.name[0] != "."}
        kept = there & set(record.done) - again
        todo = [n for n, key in enumerate(keys) if key not in kept]
        for number, (table, left_out) in self._each(todo):
            with beside(parts / f"{keys[number]}.parquet") as unfinished:
                pq.write_table(table, unfinished)
            record.add(PassRecord(keys[number], table.num_rows, left_out))

    def _write(self, path: Path, tables: Iterator[tuple[pa.Table, Skipped]]) -> None:
        skipped: Skipped = []
        with (
            beside(path) as unfinished,
            pq.ParquetWriter(
                unfinished, self.job.schema, compression="zstd", store_schema=False
            ) as writer,
        ):
            for table, left_out in tables:
                skipped += left_out
                if table.num_rows:
                    writer.write_table(table)
            # As pandas keeps a frame's attrs: read_parquet gives them back, without Arrow's schema.
            told = json.dumps({"skipped": skipped})
            writer.add_key_value_metadata({"PANDAS_ATTRS": told})

    def _each(self, numbers: Sequence[int]) -> Iterator[tuple[int, tuple[pa.Table, Skipped]]]:
        """Yield the passes of these numbers, in order, a bounded number of them under way."""
        from tqdm import tqdm

        total = len(self.passes)
        workers = max(1, min(self.workers, len(numbers)))
        with tqdm(total=total, unit="pass", disable=not self.progress) as bar:
            bar.update(total - len(numbers))
            if not numbers:
                return
            with scheduling(self.scheduler, workers, self.job) as chosen:
                done = in_order(
                    lambda number: chosen.submit(self.passes[number]), numbers, chosen.workers + 1
                )
                for number, made in done:
                    yield number, made
                    bar.update()

    def _identity(self, path: Path) -> dict[str, str]:
        """Return what makes this run this run, for its journal."""
        zones = self.job.zones
        return {
            "polygons": content_hash([each.wkb_hex for each in zones.shapes], zones.crs),
            "zones": content_hash([str(name) for name in zones.names]),
            "statistics": ", ".join(self.job.statistics),
            "reading": fingerprint(self.job.reading),
            "operator": fingerprint(self.job.operator),
            "target": str(path.resolve()),
        }
