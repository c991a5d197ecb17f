"""A pipeline that is offered: its operator, and the bands it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from geostack.loaders.sentinel2 import check_bands
from pipekit import NotSerializableError, Operator, to_config
from pipekit.provenance import versions

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Pipeline:
    """An operator, and the Sentinel-2 bands that it is given, in this order.

    Parameters
    ----------
    operator
        Gets a `GeoTensor` (C, H, W) uint16 of digital numbers, the +1000 of newer baselines taken
        away.
    bands
        Names of the bands that it is given.

    Raises
    ------
    ValueError
        For an unknown band.
    NotSerializableError
        For an operator that holds a function: it would have no hash to answer with.

    Examples
    --------
    >>> from geotoolz import NDVI
    >>> Pipeline(NDVI(), bands=("B04", "B08")).describe("ndvi")["bands"]
    ['B04', 'B08']
    """

    operator: Operator
    bands: tuple[str, ...] = ("B02", "B03", "B04", "B08")

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", check_bands(self.bands))
        check_operator(self.operator)

    @property
    def config_hash(self) -> str:
        """The operator's hash."""
        return self.operator.config_hash

    def describe(self, name: str) -> dict[str, Any]:
        """Return what `GET /pipelines/{name}` says.

        Parameters
        ----------
        name
            The pipeline's.

        Returns
        -------
        dict
            Name, hash, bands, config and versions, ready for JSON.
        """
        return {
            "name": name,
            "config_hash": self.config_hash,
            "bands": list(self.bands),
            "config": to_config(self.operator),
            "versions": versions(self.operator),
        }


def check_operator(operator: Operator) -> None:
    """Refuse what can't be told by its config.

    Parameters
    ----------
    operator
        What is to be served.

    Raises
    ------
    TypeError
        For what is no operator.
    NotSerializableError
        For an operator that holds a function.

    Examples
    --------
    >>> check_operator(len)
    Traceback (most recent call last):
    TypeError: a pipeline is an Operator, got a builtin_function_or_method
    """
    if not isinstance(operator, Operator):
        raise TypeError(f"a pipeline is an Operator, got a {type(operator).__name__}")
    try:
        to_config(operator)
    except NotSerializableError as error:
        raise NotSerializableError(f"a service tells its config, but {error}") from error


def checked_names(given: Mapping[str, T], what: str) -> dict[str, T]:
    """Return a mapping whose names can stand in an address.

    Parameters
    ----------
    given
        Anything by name.
    what
        What messages call one.

    Returns
    -------
    dict
        A copy.

    Raises
    ------
    ValueError
        For a name that can't.

    Examples
    --------
    >>> checked_names({"../x": 1}, "a layer")
    Traceback (most recent call last):
    ValueError: a layer is named by a-z, 0-9, _ and -, at most 64 of them; got '../x'
    """
    for name in given:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"{what} is named by a-z, 0-9, _ and -, at most 64 of them; got {name!r}"
            )
    return dict(given)
