"""Where to look: samples of a map's pixels whose inclusion probabilities are known exactly.

A sample says something about the whole map only when each pixel had a known chance above zero to be
in it. The designs here draw from a class map of any size, read by blocks of rows; what is drawn
depends on the map and the seed, never on the size of the blocks.

Sources: Cochran, W. G. (1977), Sampling Techniques, 3rd ed., Wiley; Olofsson, P. et al. (2014),
Good practices for estimating area and assessing accuracy of land change, Remote Sensing of
Environment 148, 42-57.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rasterio import Affine

from geopatcher.axes.draws import Draws, as_seed
from geotoolz.assess.class_map import ClassMap, check_same_grid, counted
from geotoolz.assess.sample_checks import STRATA
from geotoolz.carrier import pair
from pipekit.operator import checked_count, checked_option

if TYPE_CHECKING:
    import geopandas as gpd

DESIGNS = ("stratified", "random", "systematic", "cluster")
"""How pixels are drawn."""

ALLOCATIONS = ("proportional", "equal", "neyman")
"""How a sample is shared out among strata."""

ALL = 0
"""The stratum of a design without strata."""

Positions = NDArray[np.int64]
"""Ordinal numbers of pixels, ascending."""


def sample_size(
    shares: ArrayLike, accuracies: ArrayLike, standard_error: float, population: float = math.inf
) -> int:
    """Return how many pixels give a wished standard error of the overall accuracy.

    Cochran (1977), equation 5.25, as equation 13 of Olofsson et al. (2014).

    Parameters
    ----------
    shares
        (K,) of the map's area by stratum, in any unit.
    accuracies
        (K,) expected user's accuracies, 0 to 1.
    standard_error
        Wished, of the overall accuracy: 0.01 is one per cent.
    population
        Pixels of the map; without them the map is taken for endless, which asks for a little more.

    Returns
    -------
    Pixels to look at.

    Raises
    ------
    ValueError
        For a standard error or a population that is not above 0, or accuracies outside 0 to 1.

    Examples
    --------
    The example of Olofsson et al. (2014), section 5.1:

    >>> sample_size([0.020, 0.015, 0.320, 0.645], [0.70, 0.60, 0.90, 0.95], 0.01)
    641
    """
    if not standard_error > 0:
        raise ValueError(f"standard_error must be above 0, got {standard_error}")
    if not population > 0:
        raise ValueError(f"population must be above 0, got {population}")
    weights, spread = _weights(shares), _spread(accuracies, np.size(shares))
    extra = np.sum(weights * spread**2) / population
    size = float(np.sum(weights * spread) ** 2 / (standard_error**2 + extra))
    # 100 and some rounding are 100 pixels.
    return max(1, math.ceil(size * (1 - 1e-12)))


def allocate(
    size: int,
    pixels: Mapping[int, int] | pd.Series,
    rule: str = "proportional",
    *,
    accuracies: Mapping[int, float] | None = None,
    least: int = 2,
) -> dict[int, int]:
    """Return how many of `size` pixels each stratum gets.

    Strata that would get fewer than `least` get that many, the rest is shared out by the rule among
    the others; no stratum gets more pixels than it has.

    Parameters
    ----------
    size
        Pixels in all.
    pixels
        Stratum to its number of pixels, as from `count_classes`.
    rule
        "proportional" to their areas; "equal"; "neyman": in proportion to area times spread, which
        gives the overall accuracy the least standard error (Cochran, 1977, equation 5.26).
    accuracies
        Stratum to its expected user's accuracy, for "neyman".
    least
        Pixels of each stratum, where it has them. 50 to 100 for rare classes is good practice; 2
        are needed for any standard error.

    Returns
    -------
    Stratum to its pixels in the sample; they add up to `size`.

    Raises
    ------
    ValueError
        When `size` is too small for `least` in each stratum, or larger than the map.

    Examples
    --------
    >>> pixels = {1: 200_000, 2: 150_000, 3: 3_200_000, 4: 6_450_000}
    >>> allocate(641, pixels)
    {1: 13, 2: 10, 3: 205, 4: 413}
    >>> allocate(641, pixels, least=75)
    {1: 75, 2: 75, 3: 163, 4: 328}
    """
    checked_option(rule, "allocation", ALLOCATIONS)
    checked_count(size, "size")
    whole = _whole_numbers("pixels", dict(pixels))
    strata, room = list(whole), np.array(list(whole.values()), np.int64)
    _check_room(size, room.sum())
    checked_count(least, "least", 0)
    floor = np.minimum(room, least)
    if floor.sum() > size:
        raise ValueError(
            f"size must be at least {floor.sum()}, {least} for each of {len(strata)} strata, got "
            f"{size}; give a larger size or a smaller least"
        )
    wish = room.astype(np.float64)
    if rule == "equal":
        wish = np.ones(len(strata))
    elif rule == "neyman":
        if accuracies is None or any(each not in accuracies for each in strata):
            raise ValueError(f"allocation 'neyman' needs accuracies= for each stratum of {strata}")
        wish = room * _spread([accuracies[each] for each in strata], len(strata))
    return dict(zip(strata, _shared_out(size, wish, floor, room).tolist(), strict=True))


def _whole_numbers(name: str, counts: Mapping[Any, Any]) -> dict[int, int]:
    """Return strata and how many pixels, both as plain whole numbers."""
    for each, count in counts.items():
        if not isinstance(each, int | np.integer) or not (count >= 0 and count % 1 == 0):
            raise ValueError(
                f"{name} must map strata, as whole numbers, to whole numbers of pixels of at "
                f"least 0, got {count!r} of {each!r}"
            )
    return {int(each): int(count) for each, count in counts.items()}


def _shared_out(
    size: int, wish: NDArray[Any], floor: NDArray[Any], room: NDArray[Any]
) -> NDArray[np.int64]:
    """Return whole numbers in proportion to `wish` within `floor` and `room`, `size` in all."""
    out = floor.astype(np.int64)
    free = np.ones(len(wish), bool)
    while True:
        left = size - out[~free].sum()
        share = wish[free] / wish[free].sum() if wish[free].sum() else np.ones(free.sum())
        exact = left * share / share.sum()
        bound = np.clip(exact, floor[free], room[free])
        # Bounds of one kind are settled first: settling both at once could leave nothing between.
        over, under = (bound - exact).clip(0).sum(), (exact - bound).clip(0).sum()
        fixed = bound > exact if over >= under else bound < exact
        if not fixed.any():
            break
        places = np.flatnonzero(free)[fixed]
        out[places] = bound[fixed]
        free[places] = False
        if not free.any():
            return out
    whole = np.floor(exact).astype(np.int64)
    # The largest remainders get what rounding left over; among equal ones the first.
    order = np.argsort(-(exact - whole), kind="stable")[: left - whole.sum()]
    whole[order] += 1
    out[free] = whole
    return out


def sample_design(
    class_map: Any,
    size: int | Mapping[int, int] | pd.Series,
    design: str = "stratified",
    *,
    allocation: str = "proportional",
    accuracies: Mapping[int, float] | None = None,
    least: int = 2,
    strata: Any = None,
    cluster: int | tuple[int, int] | None = None,
    seed: int | None = 0,
    nodata: int | None = None,
    block_rows: int | None = None,
) -> gpd.GeoDataFrame:
    """Draw pixels of a class map to look at, with the probability that each was drawn.

    Parameters
    ----------
    class_map
        A path, `GeoTensor`, array, Field or reader: (H, W) or (1, H, W) whole numbers. Nodata is
        never drawn.
    size
        Pixels in all; for "stratified" also a mapping of each stratum to its pixels, where one that
        is left out, or has 0, leaves the whole map's figures unknown; for "cluster" the number of
        clusters.
    design
        "stratified": so many of each stratum, at random. "random": of all pixels. "systematic": a
        square grid with a random start, so that the number drawn is about `size`. "cluster": all
        valid pixels of blocks that are drawn at random.
    allocation, accuracies, least
        As in `allocate`, for "stratified".
    strata
        A map on the same pixels whose classes are the strata; by default `class_map` itself.
    cluster
        Pixels of a block, (rows, cols), for "cluster".
    seed
        Fixes the sample for ever; None draws anew each time.
    nodata
        A class that is left out beside what the map itself declares as nodata.
    block_rows
        Rows that are held at a time; the sample does not depend on it.

    Returns
    -------
    A GeoDataFrame, one row a pixel from the top of the map down, in the map's CRS: `sample` (its
    number), `row`, `col`, `stratum`, `stratum_size` (pixels), `map_class`, `cluster` (for that
    design), `inclusion` (probability), `weight` (1 / inclusion: pixels that it stands for),
    `reference` (empty, for the answers) and the pixel's centre. `attrs["strata"]` lists all strata
    with their pixels.

    Raises
    ------
    ValueError
        For a design, allocation or size that cannot be drawn, or a map without valid pixels.

    Examples
    --------
    >>> crops = np.repeat([[1, 2, 2, 2]], 50, axis=0).astype("uint8")
    >>> samples = sample_design(crops, 10, seed=1)
    >>> samples.groupby("stratum")[["inclusion", "weight"]].first().round(3).to_dict("list")
    {'inclusion': [0.06, 0.047], 'weight': [16.667, 21.429]}
    >>> round(float(samples["weight"].sum()), 6)
    200.0
    """
    checked_option(design, "design", DESIGNS)
    wanted: Any = size.to_dict() if isinstance(size, pd.Series) else size
    _check_options(
        design,
        stratified={
            "a mapping as size": isinstance(wanted, Mapping),
            "strata": strata is not None,
            "accuracies": accuracies is not None,
            "allocation": allocation != "proportional",
        },
        cluster={"cluster": cluster is not None},
    )
    mapped = ClassMap(class_map, nodata, block_rows)
    by = mapped if design == "stratified" else None
    if strata is not None:
        by = ClassMap(strata, None, block_rows)
        check_same_grid(mapped, by, "class_map and strata")
    drawing = _Drawing(mapped, by, Draws(as_seed(seed)))
    if design == "systematic":
        table = drawing.systematic(checked_count(wanted, "size"))
    elif design == "cluster":
        if cluster is None:
            raise ValueError("design 'cluster' needs cluster=(rows, cols), the pixels of a block")
        table = drawing.cluster(checked_count(wanted, "size"), pair(cluster))
    else:  # a random design has one stratum, of all pixels
        least = least if design == "stratified" else 0
        table = drawing.stratified(wanted, allocation, accuracies, least)
    mapped.warn_of_one_class(drawing.met)
    return _located(table, mapped, drawing.sizes)


def _check_options(design: str, **options: Mapping[str, bool]) -> None:
    """Refuse what another design than the one asked for would use."""
    for kind, given in options.items():
        unused = [name for name, is_given in given.items() if is_given and kind != design]
        if unused:
            raise ValueError(f"{unused[0]} goes with design {kind!r} only, got design {design!r}")


class _Drawing:
    """A draw of pixels: one pass counts them, another finds those that were drawn."""

    def __init__(self, mapped: ClassMap, by: ClassMap | None, draws: Draws) -> None:
        self.mapped, self.by, self.draws = mapped, by, draws
        self.sizes: dict[int, int] = {}
        self.met: set[int] = set()

    def _blocks(self) -> Iterator[tuple[int, Any, Any, Any]]:
        """Yield first row, classes, strata (all of them `ALL` without) and where both count."""
        for row, classes, valid in self.mapped.blocks():
            strata = classes
            if self.by is None:
                strata = np.broadcast_to(np.int64(ALL), classes.shape)
            elif self.by is not self.mapped:
                strata, also = self.by.read(row, len(classes))
                valid = also if valid is None else valid if also is None else valid & also
            if len(self.met) < 2:
                kept = classes if valid is None else classes[valid]
                self.met |= {int(kept.min()), int(kept.max())} if kept.size else set()
            yield row, classes, strata, valid

    def _counts(self) -> tuple[dict[int, int], list[dict[int, int]]]:
        """Return the pixels of each stratum, and of each stratum in each block."""
        blocks = [counted(strata, valid) for _, _, strata, valid in self._blocks()]
        found = sorted({label for block in blocks for label in block})
        if not found:
            raise ValueError("the map has no valid pixel, so there is nothing to sample")
        self.sizes = {each: sum(block.get(each, 0) for block in blocks) for each in found}
        return self.sizes, blocks

    def stratified(
        self,
        size: int | Mapping[int, int],
        allocation: str,
        accuracies: Mapping[int, float] | None,
        least: int,
    ) -> pd.DataFrame:
        """Return so many pixels of each stratum."""
        sizes, blocks = self._counts()
        if isinstance(size, Mapping):
            wanted = _whole_numbers("size", size)
            for each, count in wanted.items():
                if not 0 <= count <= sizes.get(each, 0):
                    raise ValueError(
                        f"size asks for {count} pixels of stratum {each}, which has "
                        f"{sizes.get(each, 0)}; strata are {sizes}"
                    )
        else:
            wanted = allocate(size, sizes, allocation, accuracies=accuracies, least=least)
        # Pixels are drawn by their ordinal numbers within each stratum.
        numbers = {
            each: without_replacement(self.draws, sizes[each], wanted.get(each, 0))
            for each in sizes
        }
        passed = dict.fromkeys(sizes, 0)
        pieces = []
        for counts, block in zip(blocks, self._blocks(), strict=True):
            row, classes, strata, valid = block
            for each, count in counts.items():
                first = passed[each]
                passed[each] = first + count
                bounds = np.searchsorted(numbers[each], (first, first + count))
                picks = numbers[each][slice(*bounds)] - first
                if len(picks):
                    inside = strata == each if valid is None else (strata == each) & valid
                    flat = np.flatnonzero(inside)[picks]
                    pieces.append(_piece(flat, row, classes, stratum=each))
        table = _joined(pieces)
        table["stratum_size"] = table["stratum"].map(sizes)
        share = {each: wanted.get(each, 0) / sizes[each] for each in sizes}
        table["inclusion"] = table["stratum"].map(share)
        return table

    def systematic(self, size: int) -> pd.DataFrame:
        """Return the pixels of a square grid with a random start."""
        sizes, _ = self._counts()
        _check_room(size, sizes[ALL])
        step = max(1, math.isqrt(sizes[ALL] // size))
        row0, col0 = self.draws.below(step, 2).tolist()
        pieces = []
        for row, classes, _, valid in self._blocks():
            chosen = np.zeros(classes.shape, bool)
            chosen[(row0 - row) % step :: step, col0::step] = True
            flat = np.flatnonzero(chosen if valid is None else chosen & valid)
            pieces.append(_piece(flat, row, classes, stratum=ALL))
        table = _joined(pieces)
        return table.assign(stratum_size=sizes[ALL], inclusion=1 / step**2)

    def cluster(self, size: int, shape: tuple[int, int]) -> pd.DataFrame:
        """Return all valid pixels of blocks drawn at random among those that have any."""
        height, width = self.mapped.shape
        across = -(-width // shape[1])
        held = np.zeros(-(-height // shape[0]) * across, np.int64)
        columns = np.arange(width) // shape[1]

        def blocks_of(row: int, flat: NDArray[Any]) -> NDArray[Any]:
            return (row + flat // width) // shape[0] * across + columns[flat % width]

        for row, classes, _, valid in self._blocks():
            flat = np.arange(classes.size) if valid is None else np.flatnonzero(valid)
            held += np.bincount(blocks_of(row, flat), minlength=len(held))
        population = np.flatnonzero(held)
        if not 0 < size <= len(population):
            raise ValueError(
                f"size must be 1 to {len(population)}, the map's clusters with valid pixels, "
                f"got {size}"
            )
        chosen = np.zeros(len(held), bool)
        chosen[population[without_replacement(self.draws, len(population), size)]] = True
        pieces = []
        for row, classes, _, valid in self._blocks():
            flat = np.arange(classes.size) if valid is None else np.flatnonzero(valid)
            flat = flat[chosen[blocks_of(row, flat)]]
            pieces.append(_piece(flat, row, classes, stratum=ALL, cluster=blocks_of(row, flat)))
        table = _joined(pieces)
        share = size / len(population)
        self.sizes = {ALL: int(held.sum())}
        return table.assign(stratum_size=self.sizes[ALL], inclusion=share)


def _check_room(size: int, pixels: int) -> None:
    if size > pixels:
        raise ValueError(f"size must be at most the map's {pixels} pixels, got {size}")


def _piece(flat: NDArray[Any], row: int, classes: NDArray[Any], **more: Any) -> pd.DataFrame:
    """Return the pixels of a block at positions in it."""
    rows, cols = np.divmod(flat, classes.shape[1])
    numbers = {"row": row + rows, "col": cols, "map_class": classes[rows, cols].astype(np.int64)}
    return pd.DataFrame(numbers).assign(**more)


def _joined(pieces: list[pd.DataFrame]) -> pd.DataFrame:
    some = [piece for piece in pieces if len(piece)]
    if not some:
        raise ValueError("no pixel was drawn; give a larger size")
    return pd.concat(some, ignore_index=True)


def _located(table: pd.DataFrame, mapped: ClassMap, sizes: Mapping[int, int]) -> gpd.GeoDataFrame:
    """Return the rows in the map's order, with numbers, weights, room for answers and places."""
    import geopandas as gpd

    table = table.sort_values(["row", "col"], ignore_index=True)
    table.insert(0, "sample", np.arange(len(table)))
    table["weight"] = 1 / table["inclusion"]
    table["reference"] = pd.array([pd.NA] * len(table), "Int64")
    order = ["sample", "row", "col", "stratum", "stratum_size", "map_class"]
    order += [name for name in ("cluster",) if name in table]
    table = table[[*order, "inclusion", "weight", "reference"]]
    place = Affine.identity() if mapped.transform is None else mapped.transform
    x, y = place @ (table["col"].to_numpy() + 0.5, table["row"].to_numpy() + 0.5)
    samples = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(x, y), crs=mapped.crs)
    # Also strata that nothing was drawn of, which no row could tell; lists, as in JSON.
    samples.attrs[STRATA] = [list(each) for each in sizes.items()]
    return samples


def without_replacement(draws: Draws, population: int, count: int) -> Positions:
    """Return `count` distinct numbers below `population`, ascending, each set equally likely.

    Parameters
    ----------
    draws
        The random numbers.
    population
        All numbers are smaller.
    count
        How many; at most `population`.

    Returns
    -------
    (count,) int64.

    Examples
    --------
    >>> without_replacement(Draws(0), 100, 4).tolist()
    [1, 4, 26, 63]
    """
    if 4 * count > population:  # refusing duplicates would take long
        return np.sort(draws.shuffled(population)[:count])
    kept = np.zeros(0, np.int64)
    while len(kept) < count:
        more = np.concatenate([kept, draws.below(population, count - len(kept))])
        # The first of equal numbers stays where it was drawn, so no number is favoured.
        kept = more[np.sort(np.unique(more, return_index=True)[1])]
    return np.sort(kept)


def _weights(shares: ArrayLike) -> NDArray[np.float64]:
    weights = np.asarray(shares, np.float64)
    if weights.ndim != 1 or not np.all(weights >= 0) or not weights.sum() > 0:
        raise ValueError(f"shares must be numbers of at least 0 that are not all 0, got {shares!r}")
    return weights / weights.sum()


def _spread(accuracies: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return the standard deviation of right and wrong in each stratum."""
    users = np.asarray(accuracies, np.float64)
    if users.shape != (count,) or not np.all((users >= 0) & (users <= 1)):
        raise ValueError(f"accuracies must be {count} numbers from 0 to 1, got {accuracies!r}")
    return np.sqrt(users * (1 - users))
