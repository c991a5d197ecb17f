"""One result for each patch, by its anchor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from geopatcher.config import Configured
from geopatcher.patch import Patch, PatchError


@dataclass(frozen=True)
class SpatialByIndex(Configured):
    """The patches' data by anchor, in their order: `{anchor: data}`, for tables such as zones.

    Nothing overlaps and nothing is put on a grid, so a patch may hold anything: a number, a row.
    Two patches at one anchor are an error, since one of them would be lost.

    >>> zones = [Patch(3.5, 0, None), Patch(8.0, 1, None)]
    >>> SpatialByIndex().merge(zones, None)
    {0: 3.5, 1: 8.0}
    """

    streaming_safe: ClassVar[bool] = False

    def merge(self, patches: Iterable[Patch], domain: Any = None) -> dict[Any, Any]:
        """Collect the patches' data; the domain plays no part, as anchors name the results."""
        found: dict[Any, Any] = {}
        for patch in patches:
            if patch.anchor in found:
                raise PatchError(
                    f"two patches hang at anchor {patch.anchor}, of which one would be lost; "
                    "sample distinct anchors"
                )
            found[patch.anchor] = patch.data
        return found
