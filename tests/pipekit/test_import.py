"""`import pipekit` loads numpy and little else; every public name is there when asked for."""

import json
import subprocess
import sys

import pipekit as pk

LOADED = "import json, sys, numpy; before = set(sys.modules); import pipekit; print(json.dumps(sorted(set(sys.modules) - before)))"
HEAVY = {"yaml", "json", "hashlib", "pathlib", "base64", "tempfile", "torch", "georeader", "rasterio",
         "xarray", "concurrent.futures", "multiprocessing", "sklearn", "importlib.metadata", "difflib"}  # fmt: skip


def test_nothing_heavy_is_loaded():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, check=True, text=True
    )
    loaded = json.loads(done.stdout)
    assert not HEAVY & set(loaded)
    # whether an environment has loaded importlib before depends on its setuptools
    outside = [n for n in loaded if n.partition(".")[0] not in ("pipekit", "importlib")]
    assert len(outside) <= 3, outside


def test_every_public_name_is_there():
    for name in pk.__all__:
        assert getattr(pk, name) is not None
    assert dir(pk) == sorted(pk.__all__)
    assert not hasattr(pk, "no_such_name")


def test_the_contract_s_names_are_public():
    contract = """Operator Sequential Input Node Graph Fanout Branch Switch Identity Const Lambda Sink Tap
    ModelOp Snapshot ShapeTrace Profile Histogram Spy Try Coalesce Retry Cache AssertShape AssertDType
    AssertHasAttribute AssertValueRange AssertValidFraction QCError Quarantine Diff DiffError Provenance
    Subsample ApplyToBands pipeline_mode ModeGated ThreadMap ProcessMap BatchedMap to_config from_config
    to_yaml from_yaml register UntrustedOperatorError config_diff ab_test"""
    assert set(contract.split()) <= set(pk.__all__)
