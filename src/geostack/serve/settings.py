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

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from geostack.loaders.sentinel2 import COLLECTION
from geostack.request import Request, as_bbox
from geostack.serve.limits import Limits
from geostack.serve.pipeline import Pipeline, checked_names
from geostack.serve.pixels import find_item
from geostack.serve.problem import Problem
from geostack.serve.tiles import Layer, file_layer, scene_layer
from geostack.sources import select, source_name
from pipekit import ConfigError, Operator, from_config
from pipekit.config import Limits as ConfigLimits
from pipekit.yaml_text import parse

_KEYS = ("source", "limits", "accept_yaml", "pipelines", "layers")


@dataclass(frozen=True)
class Settings:
    """What a server is made of: the arguments of `create_app`."""

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

    Raises
    ------
    ConfigError
        Naming the place, for what is malformed or unknown.
    UntrustedOperatorError
        For a class that a config may not name.
    SourceUnavailableError, AssetNotFoundError
        When the source can't be asked for a layer's item, or the item lacks a band.
    """
    file = Path(path)
    told = parse(file.read_text("utf-8"), ConfigLimits())
    _check(told, "the file", allowed=_KEYS)
    source = told.get("source")
    if source is not None:
        source = source_name(source)
    pipelines = {
        name: _pipeline(name, each)
        for name, each in checked_names(told.get("pipelines") or {}, "a pipeline").items()
    }
    layers = {
        name: _layer(name, each, source, file.parent)
        for name, each in checked_names(told.get("layers") or {}, "a layer").items()
    }
    if not pipelines and not layers:
        raise ConfigError(f"{file} names no pipelines and no layers: there is nothing to serve")
    accept = told.get("accept_yaml", False)
    if not isinstance(accept, bool):
        raise ConfigError(f"accept_yaml must be true or false, got {accept!r}")
    return Settings(pipelines, layers, source, _limits(told.get("limits") or {}), accept)


def run(settings: Settings, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until interrupted, then finish what is under way.

    How much one client may ask for is a proxy's matter: put one before a server that strangers
    reach.

    Parameters
    ----------
    settings
        What is served.
    host
        Address to listen on.
    port
        Port to listen on; 0 for any free one.

    Raises
    ------
    ValueError
        For a port that there is not.
    """
    if not 0 <= port < 1 << 16:
        raise ValueError(f"port must be 0 to 65535, got {port}")
    from geostack.serve.app import create_app

    app = create_app(**vars(settings))
    # After the check that says which extra is missing.
    import uvicorn

    from geostack.serve.connection import server_options

    uvicorn.run(app, host=host, port=port, **server_options(app))


def _pipeline(name: str, told: Any) -> Pipeline:
    place = f"pipelines.{name}"
    _check(told, place, allowed=("bands", "pipeline"), needed=("bands", "pipeline"))
    return Pipeline(_operator(told["pipeline"], place), _bands(told["bands"], place))


def _layer(name: str, told: Any, source: str | None, folder: Path) -> Layer:
    place = f"layers.{name}"
    of_file = isinstance(told, dict) and "file" in told
    where = ("file",) if of_file else ("item", "bbox")
    needed = (*where, "bands", "pipeline")
    _check(told, place, allowed=(*needed, "title", "halo"), needed=needed)
    operator, bands = _operator(told["pipeline"], place), _bands(told["bands"], place)
    looks: dict[str, Any] = {key: told[key] for key in ("title", "halo") if key in told}
    if of_file:
        return file_layer(folder / str(told["file"]), operator, bands, **looks)
    bbox = as_bbox(told["bbox"])
    chosen = select(source, Request.of(COLLECTION, bbox, "../..", assets=bands))
    try:
        item = find_item(chosen, str(told["item"]), bbox)
    except Problem as problem:
        raise ConfigError(f"{place}: {problem.detail}") from None
    return scene_layer(item, operator, bands, chosen, **looks)


def _operator(told: Any, place: str) -> Operator:
    try:
        return from_config(told)
    except ConfigError as error:
        raise type(error)(f"{place}.pipeline: {error}") from None


def _bands(told: Any, place: str) -> tuple[str, ...]:
    if not isinstance(told, list) or not told or not all(isinstance(band, str) for band in told):
        raise ConfigError(f"{place}.bands must list at least one name, got {told!r}")
    return tuple(told)


def _limits(told: Any) -> Limits:
    _check(told, "limits", allowed=tuple(field.name for field in fields(Limits)))
    try:
        return Limits(**told)
    except ValueError as error:
        raise ConfigError(f"limits: {error}") from None


def _check(
    told: Any, place: str, *, allowed: tuple[str, ...], needed: tuple[str, ...] = ()
) -> None:
    """Raise ConfigError unless `told` is a mapping of allowed keys, the needed ones among them."""
    if not isinstance(told, dict):
        raise ConfigError(f"{place} must be a mapping, got a {type(told).__name__}")
    unknown = sorted(set(told) - set(allowed))
    missing = sorted(set(needed) - set(told))
    if unknown or missing:
        raise ConfigError(
            f"{place}: unknown {', '.join(unknown) or 'nothing'}, missing "
            f"{', '.join(missing) or 'nothing'}; it takes {', '.join(allowed)}"
        )
