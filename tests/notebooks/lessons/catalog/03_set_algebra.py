"""What holds after lesson catalog 03, in the kernel that ran it."""

assert len(west_coast) == len(tahoe) + len(caldor)
assert world.crs.to_epsg() == 4326
assert len(world) == len(tahoe) + len(caldor) + len(lisbon)
assert len(always) == len(tahoe)
assert left["Oregon"].equals(states.gdf.set_index("state").geometry["Oregon"]), (
    "no scene touches it"
)
assert (answer.gdf.cloud_cover < 3).all()
assert answer.gdf.geometry.within(nevada.gdf.geometry.union_all().buffer(1e-9)).all()
assert len(tahoe.query(beside)) == len(tahoe)
assert len(tahoe.query(beyond)) == 0
assert inside
