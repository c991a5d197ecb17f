"""What holds after lesson catalog 01, in the kernel that ran it."""

assert service.searches == -(-len(items) // 10)
assert set(catalog.gdf.filepath) == set(same.gdf.filepath), "items in hand give the same rows"
assert config["rows"] == len(catalog)
assert len(catalog.query(bounds=(-116, 39, -115, 40), crs=4326)) == 0
assert (clear.gdf.cloud_cover < 5).all()
assert len(catalog.query(time=first.start_time)) == 1, "an instant touches itself"
assert len(catalog.query(time=local)) == 1
assert lake.shape == (3935, 1599)
assert {slice_.shape for slice_ in catalog.iter_slices()} == {(10980, 10980)}
assert GeoSlice(**lake.get_config()) == lake
assert latest.transform == median.transform == coarse.transform
assert min(baselines) >= "04.00", "all rows carry the offset"
assert len(by_date) == len(catalog.query(square))
if is_simulated:
    assert len(catalog) == 22
    assert catalog.total_bounds == (699960, 4290240, 809760, 4400040)
if flanders is not None:
    assert len(flanders) == 118
    assert flanders.total_bounds == (501360, 5629040, 502000, 5629680)
