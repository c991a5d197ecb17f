"""What holds after lesson 05, in the kernel that ran it."""

drop_grid = SpatialPatcher(SpatialRectangular(256), SpatialRegularStride(192), SpatialHann())

# the counts that the text names
assert scene.shape == (2, 705, 927)
assert drop_grid.n_anchors(field) == 3 * 4
assert shifted.n_anchors(field) == 4 * 5
assert (705 - rows, 927 - cols) == (65, 95)
assert lake.shape == (2, 3935, 1599)
assert drop_grid.n_anchors(lake) == 140
assert shifted.n_anchors(lake) == 168
assert patch.data.shape == (2, 256, 256)

# drop: where no chip is, there is no number; elsewhere the whole-scene map
assert caught[0].category is CoverageWarning
assert np.isnan(dropped.values[rows:]).all()
assert np.isnan(dropped.values[:, cols:]).all()
assert apart(dropped, whole) < 1e-6
assert dropped.transform == scene.transform
assert dropped.crs == scene.crs
no_data = np.isnan(whole.values)
assert np.array_equal(np.isnan(dropped.values[:rows, :cols]), no_data[:rows, :cols])
assert np.array_equal(np.isnan(direct.values), no_data)
assert (stitched.shape, stitched.dtype) == ((705, 927), np.float32)
assert same

# local, focal, chip-wide
assert ndvi.local
assert not Lambda(ndvi).local
assert ndvi.radius == measure_radius(ndvi) == 0
focal = {which: np.nanmax(error) for which, error in focal_errors.items()}
assert focal["Boxcar, step 192"] > 1e-2
assert 1e-6 < focal["Hann, step 192"] < focal["Boxcar, step 192"]
assert focal["margin of 4, step 248"] < 1e-6
assert np.nansum(weights_along(trimmed), axis=0).min() >= 1  # nothing is lost between margins
assert share <= 1.15
assert np.nanmean(cases["chip-wide: its stretch"]) > 100 * np.nanmean(
    cases["focal: its 9 x 9 mean"]
)
assert beyond["tiled, local"] < 64
