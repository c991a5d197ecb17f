"""What holds after the lesson, in the kernel that ran it."""

from geotoolz.scenes import scenes_of

assert len(rows) == len(fields) * len(scenes_of(items, ("B04",)))
with xr.open_zarr(store, consolidated=False) as written:
    assert np.array_equal(written["data"].values, months.values, equal_nan=True)
    assert list(pd.DatetimeIndex(written.time.values)) == list(starts.tz_localize(None))
if real:
    assert months.shape == (16, 5, 64, 64)
    assert missed.max() < 0.05, "a cloud that was taken for ground"
    assert list(seasons.index[seasons["start"] != "-"]) == ["centre", "south"]
    assert [f"{day:%Y-%m-%d}" for day in pair] == ["2018-09-01", "2018-09-21"]
