"""A result that can be made again: pipeline, inputs and versions frozen into one file.

    freeze(pipeline, chip, "ndvi.tar")     # runs it once and writes down what came out
    verify("ndvi.tar")                     # years later: the same bytes, or an error saying why not

What is compared are bytes, not numbers within a tolerance. A stranger's pipeline may never end:
`verify("ndvi.tar", seconds=60)` runs it in a process of its own, and ends it then. The hashes show
damage and careless edits. Against someone who computes them anew, keep `Artifact.digest` where that
person can't write, and give it to `load` or `verify` as `digest=`.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray

from geostack.artifact_tar import (
    MANIFEST,
    MAX_BYTES,
    ArtifactError,
    array_bytes,
    read_array,
    read_members,
    write_members,
)
from geostack.child import answering
from geotoolz.carrier import Raster, attrs_of, rewrap, values_of
from pipekit import Graph, Operator, content_hash, from_config, to_config
from pipekit.carrier import dumps
from pipekit.config import Encoder, Limits, refuse
from pipekit.provenance import versions
from pipekit.registry import Registry, default_registry
from pipekit.result_size import run_bounded
from pipekit.serialize import decode

__all__ = ["Artifact", "ArtifactError", "Verification", "freeze", "load", "rerun", "verify"]

FORMAT = "geostack-artifact-1"
WRITERS = ("Cache", "SpatialOverlapAdd")
"""Classes that write to a path of their config's choice: never built from a stranger's."""

_SEALED = ("inputs", "result", "versions")
_KEYS = {"format", "pipeline", "pipeline_hash", *_SEALED, "sha256"}
_INPUT_KEYS = {"content_hash", "shape", "dtype", "georeference", "member", "sha256"}
_RESULT_KEYS = {"content_hash", "summary"}


@dataclass(frozen=True)
class Artifact:
    """A frozen run, read back and checked: its parts fit each other.

    Parameters
    ----------
    path
        The file.
    operator
        The pipeline.
    inputs
        By name; empty when they were not kept.
    manifest
        What the file says of its parts.
    digest
        The SHA-256 of the manifest, which stands for the whole.

    Examples
    --------
    >>> import tempfile
    >>> from geotoolz import NDVI
    >>> chip = np.array([[[1000]], [[3000]]], dtype="uint16")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = freeze(NDVI(red_idx=0, nir_idx=1), chip, f"{folder}/ndvi.tar")
    ...     len(made.digest), made.operator.red_idx
    (64, 0)
    """

    path: Path
    operator: Operator
    inputs: Mapping[str, Raster]
    manifest: Mapping[str, Any]
    digest: str

    @property
    def result_hash(self) -> str:
        """The content hash of the result when it was frozen."""
        return str(self.manifest["result"]["content_hash"])


@dataclass(frozen=True)
class Verification:
    """The outcome of a run that gave the same bytes again.

    Parameters
    ----------
    digest
        The SHA-256 of the manifest.
    result_hash
        The content hash of the result.
    changed_versions
        By package, (version then, version now) of those that differ.

    Examples
    --------
    >>> Verification("0" * 64, "1" * 32, {"numpy": ("2.0.0", "2.1.0")}).changed_versions
    {'numpy': ('2.0.0', '2.1.0')}
    """

    digest: str
    result_hash: str
    changed_versions: Mapping[str, tuple[str, str]]


def freeze(
    operator: Operator,
    inputs: Raster | Mapping[str, Raster],
    path: str | Path,
    *,
    keep_inputs: bool = True,
    overwrite: bool = False,
) -> Artifact:
    """Run a pipeline and write its config, inputs, versions and result's hash into one tar.

    The same run writes the same bytes.

    Parameters
    ----------
    operator
        The pipeline.
    inputs
        One raster, or rasters by name: the inputs of a `Graph` by their names, those of another
        operator in their order.
    path
        The tar to write.
    keep_inputs
        Put the pixels in too; otherwise only their hashes, and `verify` is given them.
    overwrite
        Replace an existing file.

    Returns
    -------
    Artifact
        What was written.

    Raises
    ------
    NotSerializableError
        For a pipeline that holds a function.
    TypeError
        For an input that an artifact can't keep, such as a masked array.
    FileExistsError
        For an existing file unless `overwrite`.
    ArtifactError
        For a pipeline that gives two results for one input.

    Examples
    --------
    >>> import tempfile
    >>> from geotoolz import NDVI
    >>> chip = np.array([[[1000]], [[3000]]], dtype="uint16")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = freeze(NDVI(red_idx=0, nir_idx=1), chip, f"{folder}/ndvi.tar")
    ...     again = verify(made.path)
    >>> again.result_hash == made.result_hash, dict(again.changed_versions)
    (True, {})
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists; give overwrite=True to replace it")
    config = to_config(operator)
    members: dict[str, bytes] = {}
    described: dict[str, Any] = {}
    frozen: dict[str, Raster] = {}
    for number, (name, raster) in enumerate(_by_name(inputs).items()):
        content, where = array_bytes(values_of(raster)), _georeference(raster)
        # What runs is what was written, so that a lossy detail of a carrier can't hide.
        frozen[name] = _rebuilt(where, read_array(content, name), name)
        member = f"inputs/{number}.npy" if keep_inputs else None
        if member is not None:
            members[member] = content
        described[name] = {
            "shape": list(values_of(raster).shape),
            "dtype": values_of(raster).dtype.str,
            "georeference": where,
            "member": member,
            "sha256": sha256(content).hexdigest(),
            "content_hash": content_hash(frozen[name]),
        }
    result = _run(operator, frozen)
    if content_hash(_run(operator, frozen)) != content_hash(result):
        raise ArtifactError(
            "the pipeline gives another result when it runs again, so it can't be frozen; "
            "fix the seed of what is random in it"
        )
    manifest = {
        "format": FORMAT,
        "pipeline": config,
        "pipeline_hash": operator.config_hash,
        "inputs": described,
        "result": {"content_hash": content_hash(result), "summary": _summary(result)},
        "versions": _versions(operator),
    }
    manifest["sha256"] = {part: _seal(manifest[part]) for part in _SEALED}
    text = json.dumps(manifest, indent=1, allow_nan=False).encode()
    write_members(target, {MANIFEST: text, **members})
    kept = frozen if keep_inputs else {}
    return Artifact(target, operator, kept, manifest, sha256(text).hexdigest())


def load(
    path: str | Path,
    *,
    registry: Registry | None = None,
    digest: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Artifact:
    """Read an artifact and check that its parts fit each other, without running anything.

    Parameters
    ----------
    path
        The file that `freeze` wrote.
    registry
        The classes that its pipeline may use; by default those of `from_config` without what can
        write files.
    digest
        Refuse any other manifest than the one of this SHA-256.
    max_bytes
        Refuse a larger file.

    Returns
    -------
    Artifact

    Raises
    ------
    ArtifactError
        Saying what differs.
    ConfigError
        For a pipeline that can't be built.
    UntrustedOperatorError
        For a class outside the registry.

    Examples
    --------
    >>> import tempfile
    >>> from geotoolz import NDVI
    >>> chip = np.array([[[1000]], [[3000]]], dtype="uint16")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = freeze(NDVI(red_idx=0, nir_idx=1), chip, f"{folder}/ndvi.tar")
    ...     load(made.path, digest=made.digest).inputs["x"].tolist()
    [[[1000]], [[3000]]]
    """
    source = Path(path)
    members = read_members(source, max_bytes=max_bytes)
    text = members.pop(MANIFEST)
    found = sha256(text).hexdigest()
    if digest is not None and digest != found:
        raise ArtifactError(f"the manifest's SHA-256 is {found}, expected {digest}")
    manifest = _manifest(text)
    if registry is None:
        readers = (cls for cls in default_registry() if cls.__name__ not in WRITERS)
        registry = Registry(readers, files=False)
    operator = from_config(manifest["pipeline"], registry)
    if (now := operator.config_hash) != (then := manifest["pipeline_hash"]):
        raise ArtifactError(f"the pipeline differs: its hash is {now}, the manifest says {then}")
    inputs = {
        name: _checked_input(name, entry, members)
        for name, entry in manifest["inputs"].items()
        if entry["member"] is not None
    }
    if members:
        raise ArtifactError(f"members that the manifest does not know: {sorted(members)}")
    # What no other check sees: versions, shapes and summaries that were edited.
    for part in _SEALED:
        if _seal(manifest[part]) != manifest["sha256"][part]:
            raise ArtifactError(f"what the manifest says of its {part} differs from its SHA-256")
    return Artifact(source, operator, inputs, manifest, found)


def rerun(artifact: Artifact, inputs: Raster | Mapping[str, Raster] | None = None) -> Any:
    """Run an artifact's pipeline again and return its result.

    Parameters
    ----------
    artifact
        What `load` returned.
    inputs
        Needed only when they were not kept; they must be the ones that were frozen.

    Returns
    -------
    object
        The pipeline's result.

    Raises
    ------
    ArtifactError
        When inputs are missing or are not those.

    Examples
    --------
    >>> import tempfile
    >>> from geotoolz import NDVI
    >>> chip = np.array([[[1000]], [[3000]]], dtype="uint16")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = freeze(NDVI(red_idx=0, nir_idx=1), chip, f"{folder}/ndvi.tar", keep_inputs=False)
    ...     rerun(load(made.path), chip).tolist()
    [[0.5]]
    """
    return _run(artifact.operator, _given(artifact, inputs))


def verify(
    path: str | Path,
    inputs: Raster | Mapping[str, Raster] | None = None,
    *,
    registry: Registry | None = None,
    digest: str | None = None,
    seconds: float | None = None,
) -> Verification:
    """Check an artifact, run it again, and compare the result's bytes.

    Parameters
    ----------
    path, registry, digest
        As for `load`.
    inputs
        As for `rerun`.
    seconds
        How long the pipeline may run. It then runs in a process of its own, and is ended there
        when its time is over; None runs it here, for as long as it takes.

    Returns
    -------
    Verification

    Raises
    ------
    ArtifactError
        Saying what differs: a part that was tampered with, or the result, together with the
        versions that are not the same. Also for a pipeline that did not end, or failed, within
        `seconds`.

    Examples
    --------
    >>> import tempfile
    >>> from geotoolz import NDVI
    >>> chip = np.array([[[1000]], [[3000]]], dtype="uint16")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = freeze(NDVI(red_idx=0, nir_idx=1), chip, f"{folder}/ndvi.tar")
    ...     verify(made.path).result_hash == made.result_hash
    True
    """
    artifact = load(path, registry=registry, digest=digest)
    given, then = _given(artifact, inputs), artifact.result_hash
    if seconds is None:
        now, shown = _told(artifact.operator, given)
    else:
        now, shown = _told_apart(artifact.operator, given, seconds)
    had, has = artifact.manifest["versions"], _versions(artifact.operator)
    changed = {
        name: (str(had.get(name, "absent")), has.get(name, "absent"))
        for name in sorted({*had, *has})
        if had.get(name) != has.get(name)
    }
    if now != then:
        frozen = artifact.manifest["result"]["summary"]
        differing = ", ".join(f"{k} {a} -> {b}" for k, (a, b) in changed.items()) or "none"
        raise ArtifactError(
            f"the result differs: frozen {frozen} with hash {then}, now {shown} with hash {now}; "
            f"versions that changed: {differing}"
        )
    return Verification(artifact.digest, now, changed)


def _given(
    artifact: Artifact, inputs: Raster | Mapping[str, Raster] | None
) -> Mapping[str, Raster]:
    """Return what the pipeline runs on: the inputs that were kept, or the same ones, checked."""
    described = artifact.manifest["inputs"]
    if inputs is None:
        missing = sorted(set(described) - set(artifact.inputs))
        if missing:
            raise ArtifactError(
                f"the artifact was frozen without its pixels; give the inputs {missing}"
            )
        return artifact.inputs
    named = _by_name(inputs)
    if set(named) != set(described):
        raise ArtifactError(f"the artifact's inputs are {sorted(described)}, got {sorted(named)}")
    return {
        name: _checked(name, entry, _georeference(named[name]), values_of(named[name]))
        for name, entry in described.items()
    }


def _told(operator: Operator, inputs: Mapping[str, Raster]) -> tuple[str, str]:
    """Run a pipeline; return the hash of its result and what it is."""
    result = _run(operator, inputs)
    return content_hash(result), _summary(result)


def _told_apart(
    operator: Operator, inputs: Mapping[str, Raster], seconds: float
) -> tuple[str, str]:
    """Run a pipeline in a process of its own, which is killed when its time is over."""
    command = [sys.executable, "-m", __name__, str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            # To the child a pickle may go: this process made it. None ever comes back.
            child.stdin.write(dumps((operator, inputs)))  # type: ignore[union-attr]
            child.stdin.close()  # type: ignore[union-attr]
            child.stdin = None
            # It is ready: its time begins. A buffer would take a quick answer with it.
            os.read(child.stdout.fileno(), 1)  # type: ignore[union-attr]
            answer = child.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            raise ArtifactError(
                f"the pipeline did not end within {seconds:g} s and was ended; give it more "
                "`seconds` if it is worth that"
            ) from None
        finally:
            child.kill()
    told = json.loads(answer or '["", "its process ended"]')
    if not told[0]:
        raise ArtifactError(f"the pipeline failed: {told[1]}")
    return told[0], told[1]


def _seal(part: Any) -> str:
    return sha256(json.dumps(part, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _by_name(inputs: Raster | Mapping[str, Raster]) -> Mapping[str, Raster]:
    named = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    if not named:
        raise ValueError("an artifact needs at least one input, got an empty mapping")
    for name, raster in named.items():
        if not isinstance(raster, np.ndarray) or isinstance(raster, np.ma.MaskedArray):
            kind = f"the input {name!r} is a {type(raster).__name__}"
            raise TypeError(
                f"{kind}; give an array, or a GeoTensor whose nodata marks what is hidden"
            )
    return named


def _run(operator: Operator, inputs: Mapping[str, Raster], most: int = MAX_BYTES) -> Any:
    # Copies: an operator that works in place would change what the next run starts from.
    given = {name: rewrap(raster, values_of(raster).copy()) for name, raster in inputs.items()}
    if isinstance(operator, Graph) and len(given) > 1:
        return run_bounded(operator, most, **given)
    return run_bounded(operator, most, *given.values())


def _georeference(raster: Raster) -> dict[str, Any] | None:
    if not isinstance(raster, GeoTensor):
        return None
    crs = raster.crs
    encode = Encoder(refuse)
    attrs = {k: v for k, v in attrs_of(raster).items() if k != "provenance"}
    return {
        "transform": list(raster.transform)[:6],
        "crs": None if crs is None else crs.to_wkt() if hasattr(crs, "to_wkt") else str(crs),
        "fill": encode(raster.fill_value_default),
        "attrs": encode(attrs),
    }


def _rebuilt(where: Mapping[str, Any] | None, values: NDArray[Any], name: str) -> Raster:
    """Return an input as its georeference in the manifest says, which may lack a lossy detail."""
    if where is None:
        return values
    from rasterio import Affine

    try:
        fill, attrs = (decode(where[key], Registry(), Limits()) for key in ("fill", "attrs"))
        if not isinstance(attrs, dict) or not isinstance(where["crs"], str | None):
            raise TypeError("attrs are a mapping, and a crs is a text")
        return GeoTensor(values, Affine(*where["transform"]), where["crs"], fill, attrs)
    except (TypeError, KeyError, ValueError) as error:
        raise ArtifactError(f"the georeference of the input {name!r} is malformed") from error


def _checked_input(name: str, entry: Mapping[str, Any], members: dict[str, bytes]) -> Raster:
    content = members.pop(entry["member"], None)
    if content is None:
        raise ArtifactError(f"the pixels of the input {name!r} ({entry['member']}) are missing")
    if sha256(content).hexdigest() != entry["sha256"]:
        raise ArtifactError(f"the pixels of the input {name!r} differ from their SHA-256")
    return _checked(name, entry, entry["georeference"], read_array(content, name))


def _checked(name: str, entry: Mapping[str, Any], where: Any, values: NDArray[Any]) -> Raster:
    """Return an input put together, or raise ArtifactError unless it is the one of the manifest."""
    raster = _rebuilt(where, values, name)
    found = content_hash(raster)
    if found != entry["content_hash"]:
        raise ArtifactError(
            f"the input {name!r} is not the one that was frozen: given {values.dtype.str} "
            f"{values.shape} with content hash {found}, frozen {entry['dtype']} "
            f"{tuple(entry['shape'])} with {entry['content_hash']}"
        )
    return raster


def _manifest(text: bytes) -> dict[str, Any]:
    """Return the manifest, or raise ArtifactError unless it has the parts that `freeze` writes."""
    try:
        manifest: dict[str, Any] = json.loads(text)
        # No number and no letter of it is one that JSON and UTF-8 can't say again.
        json.dumps(manifest, allow_nan=False, ensure_ascii=False).encode()
        inputs, sealed = manifest["inputs"], manifest["sha256"]
        if not (
            manifest["format"] == FORMAT
            and manifest.keys() == _KEYS
            and manifest["result"].keys() == _RESULT_KEYS
            and isinstance(manifest["versions"], dict)
            and sealed.keys() == set(_SEALED)
            and all(entry.keys() == _INPUT_KEYS for entry in inputs.values())
            and all(isinstance(entry["member"], str | None) for entry in inputs.values())
            and all(isinstance(entry["shape"], list) for entry in inputs.values())
        ):
            raise ValueError("it has other parts")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{MANIFEST} is not of the format {FORMAT}: {error!r}") from error
    return manifest


def _versions(operator: Operator) -> dict[str, str]:
    from importlib.metadata import version

    fixed = {name: version(name) for name in ("rasterio", "georeader-spaceml")}
    return {**versions(operator), **fixed}


def _summary(result: Any) -> str:
    if isinstance(result, Mapping):
        return "{" + ", ".join(f"{k}: {_summary(v)}" for k, v in result.items()) + "}"
    if isinstance(result, np.ndarray):
        return f"{result.dtype.name} {tuple(result.shape)}"
    return type(result).__name__


def main() -> None:
    """Be the process that runs a pipeline: a pickle on standard input, JSON on standard output."""
    answer = answering(int(sys.argv[1]))
    operator, inputs = pickle.load(sys.stdin.buffer)
    answer.write(b"\n")
    answer.flush()
    try:
        told = _told(operator, inputs)
    except Exception as error:
        told = "", f"{type(error).__name__}: {error}"
    answer.write(json.dumps(told).encode())
    answer.flush()


if __name__ == "__main__":
    main()
