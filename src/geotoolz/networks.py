"""Networks in the exchange format ONNX as operators, whatever trained them.

A network is a file. An operator over it is that file's name and hash with what its authors say of
its input and output: so a pipeline that holds one is printed, compared, saved and sent to workers
without the weights, and never runs other weights than those it was made with.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geotoolz.bands import Band, BandError, PerBand, band_names, take_bands
from geotoolz.carrier import NAN, Mask, Raster, Values, fill_of, float_dtype, rewrap, values_of
from geotoolz.colours import class_colours
from pipekit.config import where_given
from pipekit.lazy import needed
from pipekit.operator import Operator, checked_count, checked_option
from pipekit.pixels import invalid_mask
from pipekit.schedulers import cores

FOLDERS = "GEOSTACK_MODELS"
"""The environment variable that lists folders in which models are looked for by name and hash."""

LAYOUTS = ("NCHW", "NHWC")
ACTIVATIONS = ("softmax", "sigmoid", "none")
OUTPUTS = ("classes", "probabilities", "scores")

_ALIKE = ("float16", "int8", "uint8", "uint16", "int16", "int32")
_INPUT_DTYPES: Final = {f"tensor({name})": name for name in _ALIKE} | {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
}
_UNMARKED: Final = 255  # the largest uint8, which marks missing pixels
_known: dict[str, str] = {}  # the hash of each model that this process has used -> its path
_opening = threading.Lock()


class OnnxOp(Operator):
    """A network that labels pixels, run by onnxruntime: bands in, classes or probabilities out.

    Two operators are equal when their settings and the content of their files are; where the file
    lies does not matter. A config holds its name and SHA-256: it is found again among the models
    that the process has used and in the folders that `GEOSTACK_MODELS` lists, and is refused when
    its content is another. A pickle holds its path and hash; each process opens it once.

    Parameters
    ----------
    path
        Of the .onnx file, its weights inside; or an open `onnxruntime.InferenceSession`, which
        lives in this process only.
    bands
        Which bands the network takes, in its order: indices, own names or common names such as
        "nir". By default the raster must have exactly the network's bands.
    layout
        "NCHW" or "NHWC": where the network has its bands.
    scale
        What pixels are multiplied by first, such as 1e-4 for digital numbers; one number, or one
        per band.
    mean, std
        Subtracted and divided by next, in scaled units; one number, or one per band.
    missing
        What the network sees where a pixel is missing, in scaled units.
    activation
        What makes probabilities of the network's numbers: "softmax", "sigmoid", or "none" when they
        are probabilities or classes already.
    output
        "classes": the most probable one, (H, W) uint8 (uint16 for ids above 254); of a single
        channel those above one half. "probabilities": (K, H, W), 0 to 1. "scores": (K, H, W) as the
        network gives them.
    classes
        Names in the order of the network's channels, or id -> name or (name, colour). They become
        the result's `attrs["classes"]`, or the names of its bands.
    output_name
        Which of the network's outputs; the first by default.
    dtype
        Of probabilities and scores, a float type.
    batch_size
        Chips per call of the network; all that come by default.
    device
        "cpu", "cuda", "cuda:1", or a provider of onnxruntime by its full name.
    threads
        How many compute one call; all cores that the process may use by default.
    radius
        How many pixels away the network looks, where that is known. Chips of one size then give
        what the whole scene gives.
    sha256
        64 hex digits that the file's content must have; by default what it has now.

    Raises
    ------
    FileNotFoundError
        When the file is not found.
    ValueError
        For a file of other content than `sha256` says; settings that are none of these, or are not
        as many as the network's bands or classes; a device that this machine lacks.
    ImportError
        Without onnxruntime, naming the extra.

    Examples
    --------
    >>> OnnxOp("unet.onnx", bands=("blue", "green", "red", "nir"), scale=1e-4)
    Traceback (most recent call last):
    FileNotFoundError: there is no model 'unet.onnx'; ...
    """

    touches_files = True
    one_size = True
    takes_batches = True
    radius: Any = 1  # the argument of that name is how far it looks

    def __init__(
        self,
        path: Any,
        *,
        bands: Sequence[Band] | None = None,
        layout: str = "NCHW",
        scale: PerBand = 1.0,
        mean: PerBand = 0.0,
        std: PerBand = 1.0,
        missing: float = 0.0,
        activation: str = "softmax",
        output: str = "classes",
        classes: Sequence[str] | Mapping[int, Any] | None = None,
        output_name: str | None = None,
        dtype: str = "float32",
        batch_size: int | None = None,
        device: str = "cpu",
        threads: int | None = None,
        radius: int | None = None,
        sha256: str | None = None,
    ) -> None:
        checked_option(layout, "layout", LAYOUTS)
        checked_option(activation, "activation", ACTIVATIONS)
        checked_option(output, "output", OUTPUTS)
        float_dtype(dtype)
        self.path, self.sha256 = path, sha256
        self.bands, self.layout = bands, layout
        self.scale, self.mean, self.std, self.missing = scale, mean, std, missing
        self.activation, self.output, self.classes = activation, output, classes
        self.output_name, self.dtype = output_name, dtype
        self.batch_size = checked_count(batch_size, "batch_size", none=True)
        self.device = device
        self.threads = checked_count(threads, "threads", none=True)
        self.radius = checked_count(radius, "radius", 0, none=True)
        self._given = None
        if hasattr(path, "run") and hasattr(path, "get_inputs"):
            self._given, self.forbid_in_yaml = path, True
            self.sha256 = sha256 or f"session {id(path):x} of process {os.getpid()}"
        else:
            self.path, self.sha256 = _located(os.fspath(path), sha256)
        self._legend = _legend(classes)
        self._shape = _Shape(self.session, layout, output_name)
        self._check()

    @property
    def session(self) -> Any:
        """The open `onnxruntime.InferenceSession`: one for each process, file and device."""
        if self._given is not None:
            return self._given
        with _opening:  # two threads that begin at once open it once
            return _session(os.getpid(), self.path, self.sha256, self.device, self.threads)

    @property
    def input_bands(self) -> int | None:
        """How many bands the network takes, or None where any number will do."""
        return self._shape.bands

    @property
    def input_size(self) -> tuple[int, int] | None:
        """The (rows, cols) that every chip must have, or None where chips of any size will do."""
        return self._shape.size

    def bands_made(self, count: int | None) -> int | None:
        """Return how many bands the network makes; refuse another number than it takes.

        Parameters
        ----------
        count
            Bands of its input, None where unknown.

        Returns
        -------
        int or None
            None where unknown.

        Raises
        ------
        BandError
            For another number of bands, where `bands` chooses none.
        """
        if count is not None and self.bands is None:
            self._check_count(count)
        return 1 if self.output == "classes" else self._shape.channels

    @property
    def result_attrs(self) -> dict[str, Any]:
        """What the attributes of a result say of its numbers.

        Returns
        -------
        dict
            "long_name", "units", "band_roles"; "classes" for classes, "band_names" for others where
            classes have names.
        """
        stem = "network" if self._given is not None else Path(self.path).stem
        title = {"classes": "class", "probabilities": "probability"}.get(self.output, stem)
        about: dict[str, Any] = {"long_name": title, "units": ""}
        if self.output == "classes":
            legend = {str(key): list(entry) for key, entry in self._legend.items()}
            return about | {"band_roles": "class"} | ({"classes": legend} if legend else {})
        names = [name for name, _ in self._legend.values()]
        names = names[-1:] if self._shape.channels == 1 else names
        return about | {"band_roles": "quantity"} | ({"band_names": names} if names else {})

    def _check(self) -> None:
        """Refuse settings that are not as many as the network's bands and classes."""
        shape = self._shape
        if self.output != "classes" and shape.kind.startswith(("int", "uint", "bool")):
            raise ValueError(
                f"the network gives {shape.kind}, which are no {self.output}; give "
                'output="classes", or output_name= of another of its outputs'
            )
        for name in ("bands", "scale", "mean", "std"):
            given = getattr(self, name)
            count = shape.bands if given is None else np.size(given)
            fits = (shape.bands,) if name == "bands" else (shape.bands, 1)
            if None not in (shape.bands, count) and count not in fits:
                raise ValueError(
                    f"{name} must be as many as the network's {shape.bands} bands, got {count}"
                )
        if not np.all(np.asarray(self.std) != 0):
            raise ValueError(f"std divides, so none may be 0, got {self.std!r}")
        wanted = None if shape.channels is None else max(shape.channels, 2)
        if self._legend and wanted not in (None, len(self._legend)):
            raise ValueError(
                f"classes must name the network's {wanted} classes, got {len(self._legend)}: "
                f"{[name for name, _ in self._legend.values()]}"
            )

    def _config_values(self) -> dict[str, Any]:
        values = where_given(super()._config_values(), "radius")
        if self._given is None:
            values["path"] = Path(self.path).name
        return values

    def __getstate__(self) -> dict[str, Any]:
        if self._given is not None:
            raise TypeError(
                "an OnnxOp over an open session lives in this process only; give OnnxOp the "
                "file's path, which other processes open themselves"
            )
        return self.__dict__

    def _apply(self, raster: Raster) -> Raster:
        values = self._chosen(raster)
        invalid = invalid_mask(values, fill_of(raster))
        batch = values[None] if values.ndim == 3 else values
        hidden = None if invalid is None else invalid.reshape(batch.shape)
        scores = np.concatenate(list(self._scores(batch, hidden)))
        lost: Mask | None = None if hidden is None else np.any(hidden, axis=1)  # type: ignore[assignment]
        out, fill = self._result(scores, lost)
        out = out[0] if values.ndim == 3 else out
        about = self.result_attrs
        drop = () if "band_names" in about else ("band_names",)
        return rewrap(raster, out, fill=fill, attrs=about, drop=drop)

    def _check_count(self, count: int, names: Sequence[str] = ()) -> None:
        """Refuse another number of bands than the network's."""
        if self._shape.bands not in (None, count):
            named = ", ".join(names)
            error = BandError(
                f"the network takes {self._shape.bands} bands, got {count}"
                f"{named and f' ({named})'}; choose them with bands="
            )
            error.concerns_all_chips = True  # a run ends with the first, whatever its on_error
            raise error

    def _chosen(self, raster: Raster) -> Values:
        """Return the network's bands, (C, H, W) or (N, C, H, W), or say what does not fit."""
        values, shape = values_of(raster), self._shape
        if values.ndim not in (3, 4):
            raise ValueError(f"a network takes (C, H, W) or (N, C, H, W), got shape {values.shape}")
        if self.bands is not None:
            values = np.stack(take_bands(raster, self.bands, axis=-3), axis=-3)
        count, size = values.shape[-3], values.shape[-2:]
        self._check_count(count, band_names(raster))
        if shape.size not in (None, size):
            raise ValueError(
                f"the network takes chips of {shape.size} pixels (rows, cols), got {size}; cut "
                f'them with SpatialRectangular({shape.size}, boundary="shift")'
            )
        return values

    def _scores(self, batch: Values, hidden: Mask | None) -> Iterator[Values]:
        """Yield the network's numbers for some chips at a time: (n, K, H, W), or (n, H, W)."""
        shape = self._shape
        size = shape.batch or self.batch_size or max(len(batch), 1)
        for start in range(0, max(len(batch), 1), size):
            part = slice(start, start + size)
            x = self._prepared(batch[part], None if hidden is None else hidden[part])
            short = 0 if shape.batch is None else shape.batch - len(x)
            if short:
                x = np.concatenate([x, np.zeros((short, *x.shape[1:]), x.dtype)])
            made = self._asked(x)
            yield made[: len(made) - short]

    def _prepared(self, batch: Values, hidden: Mask | None) -> Values:
        """Return chips as the network takes them: scaled, normalised, in its dtype and layout."""
        dtype = self._shape.dtype
        kind = dtype if dtype.kind == "f" else np.dtype("float32")
        scale, mean, std = (
            np.asarray(each, np.float64).reshape(-1, 1, 1)
            for each in (self.scale, self.mean, self.std)
        )
        # One multiplication and one addition: (pixel * scale - mean) / std.
        x = np.multiply(batch, (scale / std).astype(np.float32), dtype=np.float32)
        x -= (mean / std).astype(np.float32)
        if hidden is not None:
            seen = np.broadcast_to((self.missing - mean) / std, x.shape)
            np.copyto(x, seen, where=hidden, casting="same_kind")
        if kind != dtype:  # whole numbers end where their dtype ends
            limits = np.iinfo(dtype)
            above = np.float32(limits.max + 1)  # which floats hold, as they do not all the last
            np.clip(np.rint(x, out=x), limits.min, np.nextafter(above, np.float32(0)), out=x)
        x = x.astype(dtype, copy=False)
        return x if self.layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))

    def _asked(self, x: Values) -> Values:
        """Run the network on a batch, and return its numbers with the bands before the pixels."""
        shape = self._shape
        pixels = x.shape[2:] if self.layout == "NCHW" else x.shape[1:3]
        try:
            made = np.asarray(self.session.run([shape.output], {shape.input: x})[0])
        except Exception as error:
            error.add_note(
                f"in a network that got {x.dtype.name} of shape {x.shape} ({self.layout}); many "
                "take only rows and columns that are multiples of 16 or 32"
            )
            raise
        if made.ndim == 4 and self.layout == "NHWC":
            made = np.moveaxis(made, -1, 1)
        if made.ndim not in (3, 4) or made.shape[-2:] != pixels or len(made) != len(x):
            raise ValueError(
                f"the network made {made.shape} of {x.shape} ({self.layout}), which does not "
                f"label each of its {pixels} pixels; give layout= or output_name="
            )
        return made

    def _result(self, scores: Values, lost: Mask | None) -> tuple[Values, float]:
        """Return what was asked for, and the number that marks missing pixels in it."""
        if self.output == "classes":
            out = self._labels(scores)
            nodata = int(np.iinfo(out.dtype).max)
            if lost is not None:
                out[lost] = nodata
            if scores.dtype.kind == "f":  # of scores that are none, argmax takes the first
                out[np.isnan(scores.max(axis=1) if scores.ndim == 4 else scores)] = nodata
            return out, nodata
        out = scores if self.output == "scores" else _probabilities(scores, self.activation)
        out = out.astype(self.dtype, copy=False)
        if out.ndim == 3:
            out = out[:, None]
        if lost is not None:
            np.moveaxis(out, 1, 0)[:, lost] = np.nan
        return out, NAN

    def _labels(self, scores: Values) -> Values:
        """Return the most probable class of each pixel, (N, H, W), by its id."""
        if scores.ndim == 4 and scores.shape[1] > 1:
            found, count = scores.argmax(axis=1), scores.shape[1]
        else:
            flat, count = (scores[:, 0] if scores.ndim == 4 else scores), 2
            found = flat
            if flat.dtype.kind == "f":  # numbers before a sigmoid are even at 0
                found = flat > (0.5 if self.activation == "none" else 0.0)
            elif flat.dtype.kind != "b":
                count = len(self._legend) or _UNMARKED
        if found.max(initial=0) >= count or found.min(initial=0) < 0:
            none = found.min() if found.min() < 0 else found.max()
            raise ValueError(
                f"the network gives class {none}, which is none of 0 to {count - 1}; give all with "
                "classes="
            )
        ids = list(self._legend) or range(count)
        kind = np.uint8 if max(ids) < _UNMARKED else np.uint16
        return np.asarray(ids, kind)[found.astype(np.intp)]


class _Shape:
    """What a network's file says of the shapes it takes and gives; None where any will do."""

    def __init__(self, session: Any, layout: str, output_name: str | None) -> None:
        (taken, *others), outputs = session.get_inputs(), session.get_outputs()
        if others:
            raise ValueError(
                f"OnnxOp runs networks that take one image tensor, this one takes "
                f"{1 + len(others)}: {[each.name for each in (taken, *others)]}; ask its session "
                "in a function of your own: Lambda(function)"
            )
        names = [each.name for each in outputs]
        if output_name is not None:
            checked_option(output_name, "output_name", names)
        given = outputs[names.index(output_name)] if output_name else outputs[0]
        self.input, self.output = taken.name, given.name
        if taken.type not in _INPUT_DTYPES or len(taken.shape) not in (0, 4):
            raise ValueError(
                f"OnnxOp runs networks that take one image tensor (N, C, H, W) or (N, H, W, C), "
                f"this one takes {taken.type} of shape {taken.shape}"
            )
        self.dtype = np.dtype(_INPUT_DTYPES[taken.type])
        fixed = [n if isinstance(n, int) else None for n in taken.shape or (None,) * 4]
        made = [n if isinstance(n, int) else None for n in given.shape or ()]
        band, rows = (1, 2) if layout == "NCHW" else (3, 1)
        self.batch, self.bands = fixed[0], fixed[band]
        height, width = fixed[rows], fixed[rows + 1]
        self.size = None if height is None or width is None else (height, width)
        self.kind = given.type.removeprefix("tensor(").rstrip(")")
        is_index = self.kind.startswith(("int", "uint"))
        self.channels = made[band] if len(made) == 4 and not is_index else None


def _legend(classes: Any) -> dict[int, tuple[str, str]]:
    if classes is None:
        return {}
    found = class_colours(classes if isinstance(classes, Mapping) else dict(enumerate(classes)))
    if found and not 0 <= min(found) <= max(found) < 65535:
        raise ValueError(f"ids of classes must be 0 to 65534, got {sorted(found)}")
    return found


def _probabilities(scores: Values, activation: str) -> NDArray[Any]:
    from scipy.special import expit, softmax

    if activation == "none":
        return scores
    if activation == "sigmoid" or scores.ndim == 3 or scores.shape[1] == 1:
        return np.asarray(expit(scores))
    return np.asarray(softmax(scores, axis=1))


def _located(path: str, wanted: str | None) -> tuple[str, str]:
    """Return the whole path of a model and its hash, or say where it was looked for."""
    name = Path(path).name
    folders = [folder for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    places = [path, *(os.path.join(folder, name) for folder in folders)]
    if wanted is not None and wanted in _known:
        places.append(_known[wanted])
    found = {place: _hash_of(place) for place in places if os.path.isfile(place)}
    for place, content in found.items():
        if wanted in (None, content):
            whole = os.path.abspath(place)
            _known[content] = whole
            return whole, content
    if not found:
        raise FileNotFoundError(
            f"there is no model {path!r}; give its path, or name its folder in {FOLDERS}"
        )
    place, content = next(iter(found.items()))
    raise ValueError(
        f"{place} is not the model that was asked for: its SHA-256 is {content}, not {wanted}; "
        "give the right file, or leave sha256= out to take this one"
    )


def _hash_of(path: str) -> str:
    from hashlib import file_digest

    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=8)
def _session(pid: int, path: str, sha256: str, device: str, threads: int | None) -> Any:
    """Open a model whose content has this hash, for one process."""
    runtime = needed("onnxruntime")
    whole, _ = _located(path, sha256)
    content = Path(whole).read_bytes()
    if sha256_of(content).hexdigest() != sha256:  # what is run is what was hashed
        raise ValueError(f"{whole} was replaced while it was opened; try again")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait for work by spinning take the cores from those that read and stitch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = _providers(device, runtime.get_available_providers())
    try:
        session = runtime.InferenceSession(content, options, providers=providers)
    except Exception as error:
        error.add_note(
            f"opening {whole}; weights in a file of their own (external data) have to be put "
            "inside first: onnx.save(onnx.load(path), path)"
        )
        raise
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in session.get_providers():
        raise ValueError(f"device {device!r} could not be opened; onnxruntime fell back to the CPU")
    return session


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    """Return onnxruntime's providers for a device, or raise where this machine lacks it."""
    kind, _, number = device.partition(":")
    name = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(kind, device)
    if name not in available or (number and not number.isdigit()):
        raise ValueError(
            f'device must be "cpu", "cuda", "cuda:1" or one of {list(available)}, which this '
            f"installation of onnxruntime has, got {device!r}"
        )
    first: Any = (name, {"device_id": int(number)}) if number else name
    return [first] if kind == "cpu" else [first, "CPUExecutionProvider"]
