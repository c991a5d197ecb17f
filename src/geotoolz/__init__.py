"""Named remote-sensing operators: a pure array function, and a thin Operator around each.

A plain array in gives a plain array out; a `GeoTensor` keeps its georeference, nodata and
attributes. Operators compose with `|`, print, pickle and serialise (see `pipekit`).

>>> import numpy as np
>>> import geotoolz as gz
>>> pipeline = gz.DNToReflectance(scale=1e-4) | gz.NDVI(red_idx=0, nir_idx=1)
>>> chip = np.array([[[1000, 500]], [[3000, 4500]]], dtype="uint16")
>>> pipeline(chip).round(2)
array([[0.5, 0.8]], dtype=float32)

Names are loaded when first used, so importing the package costs hardly more than its carrier.
"""

from pipekit.lazy import lazily

__all__, __getattr__, __dir__ = lazily(__name__)
