"""What holds after the lesson, in the kernel that ran it."""

import pandas as pd

assert [Path(path).name for path, _ in some.skipped] == ["shore_20240801T000000_10m.tif"]
assert cubes.gdf.n_timesteps[0] == len(dates)
assert cubes.total_bounds == images.total_bounds
assert steps.shape == (len(dates), 2, *grid.shape)
assert label.shape[1:] == median.shape[1:]
assert 0 < instances.values.max() <= labels.gdf.n_features[0]
for catalog in (images, cubes, labels):
    memory = from_geoparquet(folder / f"{catalog.backend}.parquet")
    lazy = open_catalog(folder / f"{catalog.backend}.parquet")
    assert memory.backend == lazy.backend == catalog.backend
    assert memory.crs == lazy.crs == catalog.crs
    pd.testing.assert_frame_equal(memory.gdf, lazy.gdf)
assert read.crs == images.crs
