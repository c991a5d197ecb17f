"""A server as a YAML file: pipelines, layers, source, limits.

    source: archive                    # optional; as GEOSTACK_SOURCE
    limits: {max_pixels: 1000000}      # optional; see Limits
    accept_yaml: false                 # optional; let clients post pipelines of their own
    pipelines:
      ndvi:
        bands: [B04, B08]
        pipeline: {class: NDVI, config: {red_idx: B04, nir_idx: B08}}
    layers:
      ndvi:
        item: S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657
        bbox: [-120.1, 38.92, -119.93, 39.27]     # where the item is looked for
        bands: [B04, B08]
        pipeline: ...                  # ends in colours
      relief:
        file: relief.tif               # beside this file; its bands are named in order
        bands: [shade]
        pipeline: ...

Paths are of the file's own folder; a key that is not known is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from geostack.request import as_bbox
from geostack.serve.limits import Limits
from geostack.serve.pipeline import Pipeline, checked_names
from geostack.serve.pixels import find_item
from geostack.serve.problem import Problem
from geostack.serve.tiles import Layer, file_layer, scene_layer
from geostack.sources import source_name
from pipekit import ConfigError, Operator, from_config
from pipekit.config import Limits as ConfigLimits
from pipekit.yaml_text import parse


@dataclass(frozen=True)
class Settings:
    """What a server is made of: the arguments of `create_app`.

    Parameters
    ----------
    pipelines, layers
        By name.
    source
        Its name; None for `GEOSTACK_SOURCE`.
    limits
        What a request may cost.
    accept_yaml
        Whether clients may post pipelines of their own.

    Examples
    --------
    >>> Settings({}, {}, "archive", Limits()).accept_yaml
    False
    """

    pipelines: dict[str, Pipeline]
    layers: dict[str, Layer]
    source: str | None
    limits: Limits
    accept_yaml: bool = False


def read_settings(path: str | Path) -> Settings:
    """Return the server that a YAML file describes.

    Parameters
    ----------
    path
        The file; paths in it are of its own folder.

    Returns
    -------
    Settings

    Raises
    ------
    ConfigError
        Naming the place, for what is malformed or unknown.
    UntrustedOperatorError
        For a class that a config may not name.
    SourceUnavailableError, AssetNotFoundError
        When the source can't be asked for a layer's item, or the item lacks a band.

    Examples
    --------
    >>> import tempfile
    >>> text = "pipelines: {same: {bands: [B04], pipeline: {class: Identity, config: {}}}}"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "serve.yaml")
    ...     _ = path.write_text(text)
    ...     read_settings(path).pipelines["same"].bands
    ('B04',)
    """
    file = Path(path)
    try:
        told = parse(file.read_text("utf-8"), ConfigLimits())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is no text in UTF-8: {error}") from None
    _check(told, "the file", (), ("source", "limits", "accept_yaml", "pipelines", "layers"))
    source = None if told.get("source") is None else source_name(told["source"])
    for part in ("pipelines", "layers", "limits"):
        if not isinstance(told.get(part) or {}, dict):
            raise ConfigError(f"{part} must be a mapping, got {told[part]!r}")
    pipelines = checked_names(told.get("pipelines") or {}, "a pipeline")
    layers = checked_names(told.get("layers") or {}, "a layer")
    if not pipelines and not layers:
        raise ConfigError(f"{file} names no pipelines and no layers: there is nothing to serve")
    accept = told.get("accept_yaml", False)
    if not isinstance(accept, bool):
        raise ConfigError(f"accept_yaml must be true or false, got {accept!r}")
    return Settings(
        {name: Pipeline(*_operator(f"pipelines.{name}", each)) for name, each in pipelines.items()},
        {
            name: _layer(f"layers.{name}", each, source, file.parent)
            for name, each in layers.items()
        },
        source,
        _limits(told.get("limits") or {}),
        accept,
    )


def _layer(place: str, told: Any, source: str | None, folder: Path) -> Layer:
    where = ("file",) if isinstance(told, dict) and "file" in told else ("item", "bbox")
    operator, bands = _operator(place, told, where, ("title", "halo"))
    looks: dict[str, Any] = {key: told[key] for key in ("title", "halo") if key in told}
    if "file" in told:
        return file_layer(folder / str(told["file"]), operator, bands, **looks)
    bbox = as_bbox(told["bbox"])
    try:
        chosen, item = find_item(source, str(told["item"]), bbox, bands)
    except Problem as problem:
        raise ConfigError(f"{place}: {problem.detail}") from None
    return scene_layer(item, operator, bands, chosen, view=bbox, **looks)


def _operator(
    place: str, told: Any, needed: Sequence[str] = (), optional: Sequence[str] = ()
) -> tuple[Operator, tuple[str, ...]]:
    """Return the operator of a pipeline or layer, and the names of the bands that it is given."""
    _check(told, place, (*needed, "bands", "pipeline"), optional)
    bands = told["bands"]
    if not isinstance(bands, list) or not bands or not all(isinstance(b, str) for b in bands):
        raise ConfigError(f"{place}.bands must list at least one name, got {bands!r}")
    try:
        return from_config(told["pipeline"]), tuple(bands)
    except ConfigError as error:
        raise type(error)(f"{place}.pipeline: {error}") from None


def _limits(told: Any) -> Limits:
    _check(told, "limits", (), [field.name for field in fields(Limits)])
    try:
        return Limits(**told)
    except ValueError as error:
        raise ConfigError(f"limits: {error}") from None


def _check(told: Any, place: str, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Raise ConfigError unless `told` is a mapping of the needed keys and of optional ones."""
    if not isinstance(told, dict):
        raise ConfigError(f"{place} must be a mapping, got a {type(told).__name__}")
    unknown = ", ".join(sorted(set(told) - {*needed, *optional})) or "nothing"
    missing = ", ".join(sorted(set(needed) - set(told))) or "nothing"
    if (unknown, missing) != ("nothing", "nothing"):
        takes = ", ".join([*needed, *optional])
        raise ConfigError(f"{place}: unknown {unknown}, missing {missing}; it takes {takes}")
