"""Outlines lie where the chips do."""

import numpy as np
from rasterio import Affine
from rasterio.windows import Window

from geopatcher import draw_chips
from geopatcher.draw import outline


def test_outlines_follow_the_transform_and_the_scale(scene_of, patcher_of):
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    turned = Affine.translation(100, 200) * Affine.rotation(90) * Affine.scale(10, 10)
    np.testing.assert_allclose(outline(Window(1, 2, 3, 4), turned)[0], turned * (1, 2))
    np.testing.assert_allclose(outline(Window(1, 2, 3, 4), turned)[2], turned * (4, 6))
    scene = scene_of((20, 20))
    figure, ax = plt.subplots()
    patches = list(patcher_of(8, 8).split(scene))
    lines = draw_chips(ax, patches, scene.transform, scale=1e-3, colors="red")
    first = lines.get_segments()[0]
    np.testing.assert_allclose(first[0], [500.0, 4100.0])
    np.testing.assert_allclose(first[2], [500.08, 4099.92])
    assert len(lines.get_segments()) == 9
    assert lines in ax.collections
    plt.close(figure)
