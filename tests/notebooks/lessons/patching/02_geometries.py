"""What holds after lesson patching 02, in the kernel that ran it."""

counts = {name: tiling.n_anchors(small) for name, tiling in tilings.items()}
assert counts == {"drop": 6, "shift": 12, "pad": 12, "shrink": 12}
padded = tilings["pad"].patch_at(small, (384, 256)).data.values
corner = small.values[:, 384:, 256:]
polar = caps["North Pole"]
assert padded.shape == (2, 128, 128)
assert np.array_equal(padded[:, :16, :44], corner)
assert np.array_equal(padded[:, 16, :44], corner[:, 14])
assert len(polar) == 720 * len(set(polar.rows))
assert {-179.75, 179.75} <= set(globe.x[caps["antimeridian"].cols])
assert {len(found) for found in nearest} == {9}
assert all(found.index[0] == i for i, found in enumerate(nearest))
assert max(found.distance.max() for found in within) <= 5_000
assert smooth.shape == gap.shape
assert smooth.std() < gap.std()
assert list(mean) == [1]
assert len(knn.patch_at(trees, 0).data.gdf) == 9
for patch in parts:
    inside = in_utm.geometry[patch.anchor].intersection(RasterField(ndvi).reader.footprint())
    assert np.isclose(patch.indices.coverage.sum() * 100, inside.area, rtol=1e-5)
    values, share = np.asarray(patch.data), patch.weights
    wet = values < 0
    lake = share[wet].sum(dtype=float) / share.sum(dtype=float)
    land, water = (np.average(values[which], weights=share[which]) for which in (~wet, wet))
    assert np.isclose(table[patch.anchor], lake * water + (1 - lake) * land, atol=1e-4)
