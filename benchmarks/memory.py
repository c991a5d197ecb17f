"""Peak memory of one stitch case beyond its input and output, in a process of its own.

python benchmarks/memory.py "geostack, shift" 4 2048 2048
python benchmarks/memory.py "file to COG" 2 10980 10980
python benchmarks/memory.py "network, geostack" 4 2048 2048
"""

from __future__ import annotations

import resource
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scenes import CASES, make_file, make_scene, ndvi_operator, tiled_pipeline
from stitchers import NDVI_WORK, STITCHERS

FILE_TO_COG = "file to COG"
_MB = 2**20


def peak_rss() -> float:
    """Return the process's highest resident memory so far, in MB."""
    told = Path("/proc/self/status")
    if told.exists():  # getrusage's answer begins with that of the process that started this one
        line = next(line for line in told.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MB if sys.platform == "darwin" else peak / 1024


def stitch_case(name: str) -> Callable[..., np.ndarray]:
    """Return what stitches a scene, ours or a peer's."""
    if name in CASES:
        return lambda scene: np.asarray(CASES[name](scene))
    return lambda scene: STITCHERS[name].run(scene.values[-2:], NDVI_WORK)


def in_memory(name: str, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return peak MB in all, and beyond the interpreter, the input and the output."""
    run = stitch_case(name)
    run(make_scene((shape[0], 512, 512)))  # imports and buffers are not the stitch's
    scene = make_scene(shape)
    before = peak_rss()
    out = run(scene)
    peak = peak_rss()
    return peak, peak - before - out.nbytes / _MB


def file_to_cog(shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return peak MB in all, and beyond the interpreter, of a stitch from a file into a COG."""
    from georeader.rasterio_reader import RasterioReader

    with tempfile.TemporaryDirectory() as folder:
        small = make_file(Path(folder) / "small.tif", (shape[0], 512, 512))
        path = make_file(Path(folder) / "scene.tif", shape)

        def run(source: Path) -> None:
            target = Path(folder) / "out.tif"
            tiled_pipeline(ndvi_operator(shape[0]), target=target)(RasterioReader(str(source)))

        run(small)
        before = peak_rss()
        run(path)
        peak = peak_rss()
    return peak, peak - before


def of_network(name: str, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return peak MB in all, and beyond an open session that has run, the scene and the result."""
    import networks

    run = networks.stitched if name == networks.PATCHER else networks.theirs
    scene = networks.numbers(shape)
    networks.bare(networks.chips_of(networks.numbers((shape[0], 512, 512))))
    before = peak_rss()
    out = run(scene)
    peak = peak_rss()
    return peak, peak - before - out.nbytes / _MB


def main(name: str, *shape: str) -> None:
    """Print peak MB in all and beyond."""
    warnings.simplefilter("ignore")
    bands, height, width = (int(length) for length in shape)
    size = bands, height, width
    if name == FILE_TO_COG:
        peak, beyond = file_to_cog(size)
    elif name.startswith("network, "):
        peak, beyond = of_network(name, size)
    else:
        peak, beyond = in_memory(name, size)
    print(f"{peak:.0f} {beyond:.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
