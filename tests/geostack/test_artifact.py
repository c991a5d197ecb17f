"""A frozen run gives the same bytes again, and nothing in a hostile file is believed."""

import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from rasterio import Affine

import pipekit
from geostack import artifact
from geostack.artifact import ArtifactError, freeze, load, rerun, verify
from geostack.artifact_tar import MANIFEST, array_bytes, read_array, read_members
from geotoolz import NDVI, DNToReflectance, FocalMedian
from pipekit import (
    ConfigError,
    Graph,
    Input,
    Lambda,
    NotSerializableError,
    Operator,
    UntrustedOperatorError,
    to_config,
)

PIPELINE = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08")


def chip(seed: int = 0) -> GeoTensor:
    values = np.random.default_rng(seed).integers(1, 4000, (2, 13, 7)).astype("uint16")
    attrs = {"band_names": ["B04", "B08"], "cloud_cover": 1.5, "tile": None}
    return GeoTensor(values, Affine(10, 0, 600_000, 0, -10, 5_000_000), "EPSG:32610", 0, attrs)


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    return freeze(PIPELINE, chip(), tmp_path / "ndvi.tar").path


def repack(path: Path, change) -> Path:
    """Write the tar anew after `change(members)`."""
    members = read_members(path)
    change(members)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def edit_manifest(path: Path, change, *, sealed: bool = False) -> Path:
    """Change the manifest; `sealed` makes its hashes anew, as a forger would."""

    def edit(members):
        manifest = json.loads(members[MANIFEST])
        change(manifest)
        if sealed:
            manifest["sha256"] = {part: artifact._seal(manifest[part]) for part in artifact._SEALED}
        members[MANIFEST] = json.dumps(manifest).encode()

    return repack(path, edit)


def hostile(path: Path, info: tarfile.TarInfo, content: bytes = b"") -> Path:
    """A good artifact with one more member."""
    with tarfile.open(path, "a") as archive:
        archive.addfile(info, io.BytesIO(content))
    return path


def test_a_run_is_made_again_to_the_byte(frozen: Path):
    expected = PIPELINE(chip())
    artifact_read = load(frozen)
    result = rerun(artifact_read)
    np.testing.assert_array_equal(result.values, expected.values)
    assert (result.transform, str(result.crs)) == (expected.transform, str(expected.crs))
    assert artifact_read.operator == PIPELINE
    assert artifact_read.inputs["x"].attrs == chip().attrs
    assert verify(frozen).result_hash == artifact_read.result_hash
    assert verify(frozen).changed_versions == {}


def test_the_same_run_writes_the_same_file(frozen: Path, tmp_path: Path):
    again = freeze(PIPELINE, chip(), tmp_path / "again.tar")
    assert again.path.read_bytes() == frozen.read_bytes()
    other = freeze(PIPELINE, chip(seed=1), tmp_path / "other.tar")
    assert other.digest != again.digest


def test_a_plain_array_and_a_noncontiguous_one(tmp_path: Path):
    values = np.arange(24.0).reshape(2, 3, 4)[:, ::2, ::-1]
    made = freeze(NDVI(red_idx=0, nir_idx=1), values, tmp_path / "plain.tar")
    np.testing.assert_array_equal(load(made.path).inputs["x"], values)
    assert verify(made.path).result_hash == made.result_hash


def test_a_graph_takes_its_inputs_by_name(tmp_path: Path):
    first, second = Input("zulu"), Input("alpha")
    graph = Graph(
        inputs={"zulu": first, "alpha": second},
        outputs={"z": NDVI(red_idx=0, nir_idx=1)(first), "a": DNToReflectance()(second)},
    )
    made = freeze(graph, {"alpha": chip(1), "zulu": chip(2)}, tmp_path / "graph.tar")
    result = rerun(load(made.path))
    np.testing.assert_array_equal(result["z"].values, NDVI(0, 1)(chip(2)).values)
    np.testing.assert_array_equal(result["a"].values, DNToReflectance()(chip(1)).values)
    assert verify(made.path).result_hash == made.result_hash


class Minus(Operator):
    def __init__(self):
        """Nothing to keep."""

    def _apply(self, a, b):
        return a - b


def test_inputs_of_another_operator_keep_their_order(tmp_path: Path):
    two = {"z_first": np.array([5]), "a_second": np.array([2])}
    made = freeze(Minus(), two, tmp_path / "minus.tar")
    read_back = load(made.path, registry=pipekit.Registry([Minus]))
    assert rerun(read_back).tolist() == [3]
    with pytest.raises(UntrustedOperatorError, match="Minus"):
        load(made.path)


def test_without_pixels_the_same_inputs_must_be_given(tmp_path: Path):
    made = freeze(PIPELINE, chip(), tmp_path / "thin.tar", keep_inputs=False)
    assert set(read_members(made.path)) == {MANIFEST}
    assert verify(made.path, chip()).result_hash == made.result_hash
    with pytest.raises(ArtifactError, match=r"give the inputs \['x'\]"):
        verify(made.path)
    with pytest.raises(ArtifactError, match="not the one that was frozen"):
        verify(made.path, chip(seed=9))
    with pytest.raises(ArtifactError, match=r"inputs are \['x'\], got \['y'\]"):
        verify(made.path, {"y": chip()})


def test_what_cannot_be_frozen_is_refused_and_leaves_no_file(tmp_path: Path):
    target = tmp_path / "no.tar"
    with pytest.raises(NotSerializableError):
        freeze(Lambda(lambda x: x), chip(), target)
    with pytest.raises(ArtifactError, match="another result"):
        freeze(Wobble(), chip(), target)
    assert list(tmp_path.iterdir()) == []


class Wobble(Operator):
    calls = 0

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        Wobble.calls += 1
        return x.values + Wobble.calls


@pytest.mark.parametrize("kind", [np.ma.masked_array, list, xr.DataArray])
def test_an_input_that_would_lose_a_part_is_refused(tmp_path: Path, kind):
    given = kind(chip().values)
    with pytest.raises(TypeError, match="the input 'x' is a"):
        freeze(pipekit.Identity(), given, tmp_path / "a.tar")
    made = freeze(pipekit.Identity(), chip().values, tmp_path / "a.tar", keep_inputs=False)
    with pytest.raises(TypeError, match="the input 'x' is a"):
        rerun(made, given)


def test_an_existing_file_is_kept_unless_told(frozen: Path):
    before = frozen.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        freeze(PIPELINE, chip(1), frozen)
    assert frozen.read_bytes() == before
    freeze(PIPELINE, chip(1), frozen, overwrite=True)
    assert frozen.read_bytes() != before


class Doubles(Operator):
    """Works in place, as careless operators do."""

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        x *= 2
        return x


def test_an_operator_that_works_in_place_does_not_change_the_inputs(tmp_path: Path):
    made = freeze(Doubles(), np.array([1.0, 2.0]), tmp_path / "twice.tar")
    assert verify(made.path, registry=pipekit.Registry([Doubles])).result_hash == made.result_hash
    assert made.inputs["x"].tolist() == [1.0, 2.0]


def test_a_changed_pipeline_is_named(frozen: Path):
    def change(manifest):
        manifest["pipeline"]["config"]["operators"][0]["config"]["scale"] = 2e-4

    with pytest.raises(ArtifactError, match="the pipeline differs"):
        load(edit_manifest(frozen, change))


def test_a_changed_pixel_is_named(frozen: Path):
    def change(members):
        content = bytearray(members["inputs/0.npy"])
        content[-1] ^= 1
        members["inputs/0.npy"] = bytes(content)

    with pytest.raises(ArtifactError, match="pixels of the input 'x' differ"):
        load(repack(frozen, change))


def test_a_changed_georeference_is_named(frozen: Path):
    def change(manifest):
        manifest["inputs"]["x"]["georeference"]["transform"][2] += 10

    with pytest.raises(ArtifactError, match="input 'x' is not the one"):
        load(edit_manifest(frozen, change))


def test_a_changed_result_hash_is_found_by_running(frozen: Path):
    def change(manifest):
        manifest["result"]["content_hash"] = "0" * 32
        manifest["versions"]["numpy"] = "1.0"

    with pytest.raises(ArtifactError, match=r"the result differs.*numpy 1\.0 ->"):
        verify(edit_manifest(frozen, change, sealed=True))


def test_verifying_runs_the_pipeline_and_compares_bytes(frozen: Path, monkeypatch):
    calls = []
    run = artifact._run

    def off_by_a_bit(operator, inputs):
        calls.append(operator)
        result = run(operator, inputs)
        result.values.view("uint32")[0, 0] ^= 1
        return result

    assert verify(frozen).result_hash == load(frozen).result_hash
    monkeypatch.setattr(artifact, "_run", off_by_a_bit)
    with pytest.raises(ArtifactError, match=r"the result differs.*versions that changed: none"):
        verify(frozen)
    assert calls == [PIPELINE]


def leaves(value, path=()):
    """Every (path, value) of nested mappings and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key), item


def test_no_word_of_the_manifest_can_be_changed(frozen: Path, tmp_path: Path):
    """Each leaf in turn is another one; the error names the part it is in."""
    whole = json.loads(read_members(frozen)[MANIFEST])
    places = list(leaves(whole))
    assert len(places) > 40
    for path, value in places:

        def change(manifest, path=path, value=value):
            for key in path[:-1]:
                manifest = manifest[key]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            manifest[path[-1]] = value + 1 if number else f"{value}x"

        copy = tmp_path / "copy.tar"
        copy.write_bytes(frozen.read_bytes())
        with pytest.raises((ArtifactError, ConfigError)) as refused:
            load(edit_manifest(copy, change))
        part = {"pipeline_hash": "pipeline", "inputs": "input", "sha256": ""}.get(path[0], path[0])
        told = str(refused.value)
        assert part in told or "operators[" in told or "config" in told, (path, told)


@pytest.mark.parametrize("member", [MANIFEST, "inputs/0.npy"])
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_no_byte_of_a_member_can_be_changed(frozen: Path, member: str, place: float):
    def change(members):
        content = bytearray(members[member])
        content[int(place * (len(content) - 1))] ^= 2
        members[member] = bytes(content)

    with pytest.raises((ArtifactError, ConfigError), match=r"input|manifest|pipeline|operators"):
        load(repack(frozen, change))


def test_no_byte_of_the_file_can_be_changed(frozen: Path):
    """Every hundredth, and all around the members' ends; and no length but the file's own."""
    whole = frozen.read_bytes()
    manifest = len(read_members(frozen)[MANIFEST])
    near = {place + end for place in (0, 512 + manifest) for end in range(-12, 13)}
    for place in sorted(set(range(0, len(whole), 100)) | {p for p in near if p >= 0}):
        changed = bytearray(whole)
        changed[place] ^= 1
        frozen.write_bytes(changed)
        with pytest.raises((ArtifactError, ConfigError)):
            verify(frozen)
    for text in (
        whole[: len(whole) // 2],
        whole.rstrip(b"\0"),
        whole + b"x",
        whole + bytes(10_240),
    ):
        frozen.write_bytes(text)
        with pytest.raises(ArtifactError):
            load(frozen)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_extension_header_is_never_followed(frozen: Path, kind: bytes):
    info = tarfile.TarInfo("inputs/1.npy")
    info.type, info.size = kind, 1 << 40
    frozen.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + frozen.read_bytes())
    with pytest.raises(ArtifactError, match="no plain file"):
        load(frozen)


def test_an_owner_and_a_date_are_refused(frozen: Path):
    info = tarfile.TarInfo("inputs/1.npy")
    info.uname, info.mtime = "mallory", 1
    with pytest.raises(ArtifactError, match="mallory"):
        load(hostile(frozen, info))


@pytest.mark.parametrize("member", [MANIFEST, "inputs/0.npy"])
def test_no_member_can_be_left_out(frozen: Path, member: str):
    with pytest.raises(ArtifactError, match=r"holds no manifest|input 'x' .* missing"):
        load(repack(frozen, lambda members: members.pop(member)))


def test_nothing_is_written_when_a_hostile_artifact_is_read(frozen: Path, tmp_path: Path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path != frozen}
    beside = tmp_path.parent / "evil"
    for name in ("../evil", str(beside), "inputs/../../evil"):
        copy = tmp_path / "copy.tar"
        copy.write_bytes(frozen.read_bytes())
        with pytest.raises(ArtifactError):
            verify(hostile(copy, tarfile.TarInfo(name), b"evil"))
        copy.unlink()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path != frozen}
    assert after == before
    assert not beside.exists()


def test_consistent_forgery_is_refused_by_the_digest(frozen: Path, tmp_path: Path):
    genuine = load(frozen).digest
    forged = freeze(PIPELINE, chip(seed=5), tmp_path / "forged.tar").path
    assert verify(forged).result_hash
    with pytest.raises(ArtifactError, match="SHA-256"):
        verify(forged, digest=genuine)
    assert verify(frozen, digest=genuine).digest == genuine


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "inputs/../../evil", "inputs/1.npy/../x", "C:\\evil", "a\x00b"]
)
def test_names_that_lead_elsewhere_are_refused(frozen: Path, name: str):
    with pytest.raises(ArtifactError, match=r"none that an artifact has|no plain"):
        load(hostile(frozen, tarfile.TarInfo(name)))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE],
)
def test_links_devices_and_folders_are_refused(frozen: Path, kind: bytes):
    info = tarfile.TarInfo("inputs/1.npy")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(ArtifactError, match="no plain file"):
        load(hostile(frozen, info))


def test_a_sparse_bomb_is_refused(frozen: Path):
    # GNU sparse: the header claims 8 GiB, the file holds none of them.
    info = tarfile.TarInfo("inputs/1.npy")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"00000000000\x00"
    header[483:495] = b"77777777777\x00"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    body = frozen.read_bytes().rstrip(b"\0")
    body += b"\0" * (-len(body) % 512)
    frozen.write_bytes(body + bytes(header) + b"\0" * 1024)
    with pytest.raises(ArtifactError):
        load(frozen)


def test_a_member_larger_than_its_file_is_refused(frozen: Path):
    info = tarfile.TarInfo("inputs/1.npy")
    info.size = 1 << 40
    body = frozen.read_bytes().rstrip(b"\0")
    body += b"\0" * (-len(body) % 512)
    frozen.write_bytes(body + info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(ArtifactError):
        load(frozen)


def test_compressed_and_foreign_files_are_refused(frozen: Path, tmp_path: Path):
    import gzip

    squeezed = tmp_path / "ndvi.tar.gz"
    squeezed.write_bytes(gzip.compress(frozen.read_bytes()))
    with pytest.raises(ArtifactError, match="no plain tar"):
        load(squeezed)
    (tmp_path / "noise.tar").write_bytes(np.random.default_rng(0).bytes(4096))
    with pytest.raises(ArtifactError):
        load(tmp_path / "noise.tar")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.tar")


def test_the_size_and_the_number_of_members_are_limited(frozen: Path):
    with pytest.raises(ArtifactError, match="max_bytes=10"):
        load(frozen, max_bytes=10)

    def change(members):
        members.update({f"inputs/{n}.npy": b"" for n in range(1, 200)})

    with pytest.raises(ArtifactError, match="more than 64 members"):
        load(repack(frozen, change))


def test_members_given_twice_or_unknown_are_refused(frozen: Path, tmp_path: Path):
    copy = tmp_path / "copy.tar"
    copy.write_bytes(frozen.read_bytes())
    with pytest.raises(ArtifactError, match="twice"):
        load(hostile(frozen, tarfile.TarInfo("inputs/0.npy")))
    with pytest.raises(ArtifactError, match="does not know"):
        load(hostile(copy, tarfile.TarInfo("inputs/7.npy")))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="other"),
        lambda m: m.pop("result"),
        lambda m: m.update(inputs=[]),
        lambda m: m["inputs"].update(x={}),
        lambda m: m["inputs"]["x"].update(extra=1),
        lambda m: m.update(versions=None),
        lambda m: m["inputs"]["x"]["georeference"].pop("crs"),
        lambda m: m["inputs"]["x"]["georeference"].update(transform=["a"]),
        lambda m: m["inputs"]["x"].update(member=["inputs/0.npy"]),
        lambda m: m["inputs"]["x"].update(shape=5, content_hash=""),
    ],
)
def test_a_malformed_manifest_is_one_clear_error(frozen: Path, change):
    with pytest.raises(ArtifactError):
        load(edit_manifest(frozen, change))


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object(frozen: Path, text: bytes):
    with pytest.raises(ArtifactError):
        load(repack(frozen, lambda members: members.update({MANIFEST: text})))


def test_a_class_outside_the_registry_is_never_built(frozen: Path):
    def change(manifest):
        manifest["pipeline"] = {"class": "os.system", "config": {}}

    with pytest.raises(UntrustedOperatorError, match=r"os\.system"):
        load(edit_manifest(frozen, change))


@pytest.mark.parametrize("name", [*artifact.WRITERS, "WriteCOG", "ReadGeoTensor"])
def test_what_writes_where_its_config_says_is_not_built(frozen: Path, name: str):
    def change(manifest):
        manifest["pipeline"] = {"class": name, "config": {}}

    with pytest.raises(UntrustedOperatorError, match=name):
        load(edit_manifest(frozen, change))


def npy_header(text: str) -> bytes:
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (1, 1)}",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}",
        "__import__('os').system('true')",
    ],
)
def test_array_headers_are_not_believed(header: str):
    with pytest.raises(ArtifactError):
        read_array(npy_header(header) + b"\0" * 8, "x")


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (3, 5, 7)])
def test_arrays_of_any_shape_come_back(shape):
    values = np.random.default_rng(0).normal(size=shape)
    back = read_array(array_bytes(values), "x")
    assert back.shape == shape
    np.testing.assert_array_equal(back, values)


# ---- a pipeline that may never end


@pytest.mark.parametrize("keep", [True, False])
def test_a_run_in_a_process_of_its_own_says_the_same(tmp_path: Path, keep: bool):
    path = freeze(PIPELINE, chip(), tmp_path / "a.tar", keep_inputs=keep).path
    given = None if keep else chip()
    assert verify(path, given, seconds=60) == verify(path, given)


def test_what_differs_or_fails_there_is_told_here(frozen: Path):
    def change(manifest):
        manifest["result"]["content_hash"] = "0" * 32

    edit_manifest(frozen, change, sealed=True)
    with pytest.raises(
        ArtifactError, match=r"frozen float32 \(13, 7\) with hash 0{32}, now float32"
    ):
        verify(frozen, seconds=60)

    def fail(manifest):
        other = NDVI(red_idx="B99", nir_idx="B08")
        manifest["pipeline"], manifest["pipeline_hash"] = to_config(other), other.config_hash

    edit_manifest(frozen, fail)
    with pytest.raises(ArtifactError, match=r"the pipeline failed: BandError: .*B99"):
        verify(frozen, seconds=60)


def test_a_pipeline_that_would_run_for_minutes_is_ended(tmp_path: Path):
    """A median of 101 x 101 at each of a million pixels, which nothing else refuses."""
    psutil = pytest.importorskip("psutil", reason="looks at child processes")
    path = freeze(FocalMedian(3), np.zeros((1, 1000, 1000), "float32"), tmp_path / "a.tar").path

    def slow(manifest):
        other = FocalMedian(101)
        manifest["pipeline"], manifest["pipeline_hash"] = to_config(other), other.config_hash

    edit_manifest(path, slow)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ArtifactError, match=r"not end within 0\.5 s and was ended"):
        verify(path, seconds=0.5)
    assert set(psutil.Process().children(recursive=True)) <= before


def npy(header: str, body: bytes = b"") -> bytes:
    """A file of numpy's format 1.0 with any header."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + body


SHAPED = "{{'descr': {}, 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize(
    "header",
    [
        "{",
        "(" * 9000,
        "-" * 9000 + "1",
        "1\n  2\n 3",
        "'''",
        SHAPED.format("'(1,,2)i4'", "(1,)"),
        SHAPED.format("'(3,)<f4'", "(1,)"),
        SHAPED.format("('<f4', (3,))", "(1,)"),
        SHAPED.format("'S0'", "(10**9,)"),
        SHAPED.format("'V0'", "(1000000000000,)"),
        SHAPED.format("'<f4'", "(True,)"),
        SHAPED.format("'<f4'", "(99999999999999999999, 0)"),
        SHAPED.format("'<f4'", "(" + "1," * 70 + ")"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"\0" * 4, b"\0" * 12])
def test_a_header_of_an_array_is_never_believed(header, body):
    with pytest.raises(ArtifactError, match=r"x is no|x announces"):
        read_array(npy(header, body), "x")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("shape", 0), float("nan")),
        (("dtype",), float("inf")),
        (("georeference", "crs"), "\ud800"),
        (("georeference", "crs"), 32610),
        (("georeference", "attrs"), True),
        (("georeference", "attrs"), []),
        (("georeference", "fill"), {"$dtype": "(1,,2)i4"}),
    ],
)
def test_no_value_of_the_manifest_is_an_error_of_another_kind(frozen: Path, path, value):
    def change(manifest):
        place = manifest["inputs"]["x"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        manifest["sha256"]["inputs"] = sha256(
            json.dumps(manifest["inputs"], sort_keys=True).encode()
        ).hexdigest()

    with pytest.raises(ArtifactError):
        load(edit_manifest(frozen, change))
