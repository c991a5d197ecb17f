"""What holds after lesson 06, in the kernel that ran it."""

for an_image, a_label in zip(
    images, (patch.data for patch in cutter.split(truth[NORTH])), strict=True
):
    assert an_image.data.transform == a_label.transform
assert scene.shape[1:] == truth.shape == (3935, 1599)
assert 0.6 < np.mean(truth.values == 0) < 0.75
assert SOUTH.start - last >= 100
assert np.array_equal(here, augment(chip, seed=(0, pick)).values)
assert not np.array_equal(here, augment(chip, seed=(1, pick)).values)
assert np.array_equal(here, elsewhere)
assert 300 < compared < 1000
assert turned.transform == turned_label.transform
assert scores["augmented", "clear"] > np.mean(test_truth[labelled] == 0)
assert (f1["model"] > f1["rule"] - 0.02).all() or source != "simulated"
if source == "simulated":
    assert np.count_nonzero(lead > 0) == 4
    assert ends[0] < 0 < lead.mean()
assert agreement == 1.0
assert (stitched.transform, stitched.crs) == (scene.transform, scene.crs)
assert shares.diagonal().mean() > 0.6
assert shares[0, 0] == shares.diagonal().max() or source != "simulated"
assert np.allclose(probabilities.values.sum(axis=0), 1, atol=1e-5)
assert same[doubt.values > 1e-5].all()
assert few[wrong].mean() > 5 * few.mean() or source != "simulated"
for word in ("clear", "hazy"):
    gap = abs(scores["as cut", word] - scores["augmented", word])
    assert gap < 0.01 or source != "simulated"
if tyrol is not None:
    assert water[0] < 0.1 < 0.5 < water[1] or source != "simulated"
    assert (river > 2 * lake).all() or source != "simulated"
    assert 0.003 < np.mean(tyrol_truth.values == 0) < 0.004
    assert water_scores["Trained in the west"][1] < 0.5 or source != "simulated"
    in_one_piece = ModelOp(PixelModel(fresh), method="predict")(tyrol).values
    filled = np.nan_to_num(in_one_piece, nan=voting.aggregation.fill_value)
    assert np.array_equal(maps["Trained in the west"].values, filled)
    for mapped in maps.values():
        true, said = tyrol_truth.values[:, EAST], mapped.values[:, EAST]
        used = (true >= 0) & (said < 3)
        assert np.mean(true[used] == said[used]) > 0.9 or source != "simulated"
