"""What holds after the lesson, in the kernel that ran it."""

assert len(clear) == len(catalog.where("cloud_cover < 1 AND year(start_time) = 2022"))
assert pairs.gdf.area.max() <= 1000**2
assert pairs.gdf.within(shapely.box(0, 0, 1_000_000, 1_000_000)).all()
assert int(read) == 2, "files of the folder, for days of two months"
assert len(grown) == count, "who had it open goes on with what it had"
assert len(nearby) == houses.intersects(shapely.box(*town)).sum()
