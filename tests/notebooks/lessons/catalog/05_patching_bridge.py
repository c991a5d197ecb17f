"""What holds after the lesson, in the kernel that ran it."""

assert len(domain) == len(masks) == len(all_of_them) == len(catalog)
assert field.domain.shape == (3, 10980, 10980)
assert corner.shape == (3, 256, 256)
assert 0 < len(seen) < len(water)
assert "_lost_" in failure.message
if is_simulated:
    assert len(domain) == 22
    assert {slice_.shape for slice_ in domain.slices()} == {(10980, 10980)}
if flanders is not None:
    assert len(greenness) == len(flanders.where("cloud_cover < 10"))
    assert [f"{day:%Y-%m-%d}" for day in odd.gdf.start_time] == ["2018-09-23"]
