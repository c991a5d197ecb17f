"""What holds after the lesson, in the kernel that ran it."""

import numpy as np

np.testing.assert_allclose(estimate.shares.sum(), 1)
assert all(sum(rule.values()) == size for rule in rules.values())
assert len(unanswered(answers)) == 2
if REAL:
    assert hits["wald"][0] < 0.8 < 0.92 < hits["wilson"][0]
    assert (hits["wilson"][1:] > 0.94).all()
