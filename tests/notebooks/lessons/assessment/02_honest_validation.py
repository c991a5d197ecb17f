"""What holds after the lesson, in the kernel that ran it."""

assert len(list(CheckedFolds(folds, buffer=199).split(chips))) == 4
assert found["away"][0] < found["home"][0] - 0.05
if real is not None:  # coordinates are no help in another place
    assert results["without"][2] > results["with"][2]
