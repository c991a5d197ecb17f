"""The performance targets: what is aimed at, at which size, and where a run's answer is found.

A target is judged only where it was measured at the size that it is stated for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from networks import AFAR, PATCHER, SHAPE
from networks import TITLE as NETWORK
from peers import MEDIAN, STITCH
from results import Results
from scenes import LARGE, SMALL
from stitchers import STITCHERS

COG_SHAPES = ((2, 5490, 10980), (2, 10980, 10980))
FILE_TO_COG = "file to COG"
Question = Callable[[Results], "float | None"]


@dataclass(frozen=True)
class Target:
    """A claim's number, words, limit and unit, and how a run's value is found."""

    number: int
    claim: str
    limit: float
    unit: str
    measure: Question
    at_most: bool = True

    def verdict(self, value: float | None) -> str:
        """Return "met", "not met", or that this run did not measure it."""
        if value is None:
            return "not measured"
        return (
            "met" if (value <= self.limit if self.at_most else value >= self.limit) else "not met"
        )

    def limit_text(self) -> str:
        """Return the limit in words."""
        bound = "at most" if self.at_most else "at least"
        return f"{bound} {self.limit:g}{self.unit}"


def ratio(title: str, row: str) -> Question:
    return lambda results: results.ratio(title, row)


def inverse(title: str, row: str) -> Question:
    def ask(results: Results) -> float | None:
        found = results.ratio(title, row)
        return None if found is None else 1 / found

    return ask


def per_unit(title: str, row: str, less: str | None = None, scale: float = 1e6) -> Question:
    """Return the time of one call or chip, in us unless `scale` says so, less that of `less`."""

    def ask(results: Results) -> float | None:
        whole = results.seconds(title, row)
        rest = results.seconds(title, less) if less else 0.0
        return None if whole is None or rest is None else (whole - rest) * scale

    return ask


def value(name: str) -> Question:
    return lambda results: results.values.get(name)


def against_blending(shape: tuple[int, ...], ours: str) -> Question:
    """Return our time over that of the fastest peer that blends."""

    def ask(results: Results) -> float | None:
        found = [
            results.times_faster(f"{STITCH} {shape}", ours, peer.label)
            for peer in STITCHERS.values()
            if peer.blends
        ]
        known = [one for one in found if one]
        return 1 / min(known) if known else None

    return ask


def growth(results: Results) -> float | None:
    """Return the peak of a stream into a COG over that of a scene half as tall."""
    short, tall = (results.peak(FILE_TO_COG, shape, "in all") for shape in COG_SHAPES)
    return tall / short if short and tall else None


def of_decoding(results: Results) -> float | None:
    """Return how much faster two Dask workers are than one, over two processes that decode."""
    tile = "(10980 x 10980)"
    run = results.ratio(f"a run by blocks over Dask {tile}", "two workers")
    decoding = results.ratio(f"decoding the same file and nothing else {tile}", "two processes")
    return decoding / run if run and decoding else None


def sooner_or_smaller(results: Results) -> float | None:
    """Return the better of 1.5 times faster and half the memory, 1 where it is just reached."""
    times = results.ratio(MEDIAN, "odc-stac")
    memory = results.values.get(f"{MEDIAN}: memory, odc-stac against geostack")
    return max(times / 1.5, memory / 2) if times and memory else None


def peak(case: str, shape: tuple[int, ...], part: str = "beyond") -> Question:
    return lambda results: results.peak(case, shape, part)


TILED, TILED_2 = "geostack, shift", "geostack, shift, 2 workers"
MILLION = "queries of 1,000,000 footprints in a file"
IN_MEMORY = "1,000 queries of {} footprints in memory"
NEIGHBOURS = f"NDVI and its 9 x 9 mean {SMALL}"
ARCHIVE = "a box of 50 km and 30 days of {:,} rows in a folder, {}"
ADDED = 8192
ADDING = "chips of {} x {} pixels weighed and added"
STORE = "NDVI of a COG by blocks into a Zarr store (8192 x 8192), a store 50 ms away"
JOIN = "joining 100,000 with 10,000 footprints"

TARGETS = (
    Target(1, f"tiled NDVI {SMALL} against the whole-scene call", 1.0, "x",
           ratio(f"stitched NDVI {SMALL}", TILED)),
    Target(1, f"tiled NDVI {LARGE}, two workers, against the whole-scene call", 0.25, "x",
           ratio(f"stitched NDVI {LARGE}", TILED_2)),
    Target(1, f"blended NDVI {SMALL} against the fastest peer that blends", 0.9, "x",
           against_blending(SMALL, "geostack")),
    Target(1, f"blended NDVI {LARGE} against the fastest peer that blends", 0.9, "x",
           against_blending(LARGE, "geostack")),
    Target(2, f"peak memory beyond input and output, blended, {SMALL}", 16, " MB",
           peak("geostack, blended", SMALL)),
    Target(2, f"peak memory beyond input and output, blended, two workers, {LARGE}", 16, " MB",
           peak("geostack, blended, 2 workers", LARGE)),
    Target(2, f"peak memory in all from a file {COG_SHAPES[1]} to a COG", 250, " MB",
           peak(FILE_TO_COG, COG_SHAPES[1], "in all")),
    Target(2, "the same, against a scene half as tall", 1.1, "x", growth),
    Target(3, "`split`, a chip", 8, " us", per_unit("cost of 140 chips", "split")),
    Target(3, "`ApplyToChips`, a chip", 2, " us",
           per_unit("cost of 140 chips", "split and apply nothing", "split")),
    Target(3, "an operator's call beyond its function's", 100, " ns",
           per_unit("one call on an int", "Operator", "plain function", 1e9)),
    Target(3, "a `Sequential` of ten steps on an int", 1, " us",
           per_unit("ten steps on an int", "Sequential")),
    Target(4, "queries of 100,000 rows in memory, faster than GeoPandas", 30, "x",
           inverse(IN_MEMORY.format("100,000"), "geocatalog"), False),
    Target(4, "queries of 100,000 rows in memory, rows as numbers, faster than GeoPandas", 20,
           "x",
           inverse(IN_MEMORY.format("100,000"), "geocatalog, rows as numbers"), False),
    Target(4, "queries of 100,000 rows in memory, as a GeoDataFrame, faster than GeoPandas", 3,
           "x",
           inverse(IN_MEMORY.format("100,000"), "geocatalog, with frames"), False),
    Target(4, "queries of 1,000,000 rows in memory, faster than GeoPandas", 30, "x",
           inverse(IN_MEMORY.format("1,000,000"), "geocatalog"), False),
    Target(4, "queries of 1,000,000 rows in memory, rows as numbers, faster than GeoPandas", 20,
           "x",
           inverse(IN_MEMORY.format("1,000,000"), "geocatalog, rows as numbers"), False),
    Target(4, "queries of 1,000,000 rows in memory, as a GeoDataFrame, faster than GeoPandas", 3,
           "x",
           inverse(IN_MEMORY.format("1,000,000"), "geocatalog, with frames"), False),
    Target(4, "queries of a file of 1,000,000 rows, counted, faster than `read_parquet`", 15,
           "x", inverse(MILLION, "geocatalog, count"), False),
    Target(4, "queries of a file of 1,000,000 rows, with their rows, faster than `read_parquet`",
           15, "x", inverse(MILLION, "geocatalog, rows"), False),
    Target(4, "row groups of 1,000,000 rows read by a box of 1 km and 30 days", 2, " %",
           value("row groups read, %")),
    Target(4, "joining 100,000 with 10,000, in space, against a bulk STRtree query", 2, "x",
           ratio(JOIN, "geocatalog, space")),
    Target(4, "joining 100,000 with 10,000, in space and time, against the same", 2, "x",
           ratio(JOIN, "geocatalog, space and time")),
    Target(4, "files opened by `from_stac_items` of 10,000 items", 0, "",
           value("files opened by from_stac_items")),
    Target(5, "a chip of four bands, 50 ms away, against its slowest band", 1.1, "x",
           ratio("a chip of 256 x 256 from a server 50 ms away", "four bands")),
    Target(5, "headers of 200 files, 50 ms away, faster than one by one", 8, "x",
           inverse("headers of 200 files from a server 50 ms away", "at the same time"), False),
    Target(6, "the walkthrough, first run", 5, " min", value("walkthrough, first run, min")),
    Target(6, "the walkthrough again, sources cached (or the first run, if that kept it)", 3,
           " min", value("walkthrough again, min")),
    Target(7, "two Dask workers on a whole tile (same bytes, or the run fails): the gain over one, "
           "of what two processes gain that only decode it", 0.9, "x", of_decoding, False),
    Target(7, "cost from a quarter to a whole tile: the slope on log axes, 1 where it is linear",
           1.05, "",
           value("slope of cost in pixels: a quarter, half and whole of 10980 squared")),
    Target(8, "`ndvi | 9 x 9 mean` tiled, one worker, against the whole-scene call", 1.15, "x",
           ratio(NEIGHBOURS, "geostack")),
    Target(8, "the same with two workers", 0.65, "x", ratio(NEIGHBOURS, "geostack, 2 workers")),
    Target(9, f"{NETWORK}, blended, against its session alone on as many chips", 1.05, "x",
           ratio(NETWORK, "geostack")),
    Target(9, "peak memory of the same beyond its open session, scene and classes", 78, " MB",
           peak(PATCHER, SHAPE)),
    Target(9, "the network from a file 50 ms away, against the slower of reading and network alone",
           1.15, "x", value(AFAR)),
    Target(12, "500 fields on one date, faster than a file opened for each field", 5, "x",
           ratio("500 fields on one date", "exactextract, a file opened for each field"), False),
    Target(12, "`find_breaks`, a pixel of 292 dates", 1, " ms", value("find_breaks, ms a pixel")),
    *(
        target
        for rows, limits in ((10_000_000, (25, 10)), (100_000_000, (100, 40)))
        for what, limit in zip(("rows", "count"), limits, strict=True)
        for title in [ARCHIVE.format(rows, what)]
        for target in (
            Target(10, title, limit, " ms", per_unit(title, "geocatalog", scale=1e3)),
            Target(10, f"{title}, against DuckDB that is told the files", 1.3, "x",
                   ratio(title, "geocatalog")),
        )
    ),
    *(
        Target(10, f"peak memory of building {rows:,} rows", 2000, " MB",
               value(f"building {rows:,} rows, peak MB"))
        for rows in (10_000_000, 100_000_000)
    ),
    Target(11, f"peak memory of {MEDIAN}", 1000, " MB", value(f"{MEDIAN}: peak MB")),
    Target(11, "the same: 1.5 times faster than odc-stac or half its memory, whichever is nearer",
           1, "x", sooner_or_smaller, False),
    Target(13, "peak memory of a mosaic with its result, of the result's", 2, "x",
           value("mosaic's peak memory, of its size")),
    Target(13, "the same, 64 files against 16", 1.1, "x",
           value("mosaic's peak memory, 64 files against 16")),
    Target(14, "NDVI from and to an object store 50 ms away, against a local folder", 1.3, "x",
           ratio(STORE, "the store")),
    Target(15, "chips weighed and added, against copying the scene once", 8, "x",
           ratio(ADDING.format(ADDED, ADDED), "geostack")),
)  # fmt: skip
