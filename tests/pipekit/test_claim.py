"""Claims on targets of an object store, where nothing is locked."""

import json
import os
import subprocess
import sys
import threading

import pytest

from pipekit.claim import claimed
from pipekit.places import Place

CLAIM = """
import os, sys
from pipekit.claim import claimed
from pipekit.places import place_of
with claimed(place_of(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(place, journal=""):
    job = [sys.executable, "-c", CLAIM, str(place), journal]
    process = subprocess.Popen(job, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def end(process, kill=False):
    if kill:
        process.kill()
    process.communicate()


def test_one_of_two_holds_a_place(on_store):
    place = on_store / "a.zarr"
    holder = start(place, "s3://bucket/1.jsonl")
    try:
        held = (
            rf"process {holder.pid} on .*with the journal s3://bucket/1.jsonl; .*\.a\.zarr\.claim"
        )
        with pytest.raises(ValueError, match=held), claimed(place, "s3://bucket/2.jsonl"):
            pass
    finally:
        end(holder)
    with claimed(place, "s3://bucket/2.jsonl"):
        assert place.with_name(".a.zarr.claim").exists()
    assert not list(on_store.below())


def test_a_dead_process_holds_nothing(on_store):
    place = on_store / "a.zarr"
    end(start(place), kill=True)
    assert place.with_name(".a.zarr.claim").exists()
    with claimed(place, "s3://bucket/2.jsonl"):
        pass
    assert not list(on_store.below())


@pytest.mark.parametrize("told", [{"machine": "elsewhere"}, {"began": "1"}])
def test_a_claim_from_elsewhere_stands_and_one_of_an_earlier_process_does_not(on_store, told):
    place = on_store / "a.zarr"
    claim = place.with_name(".a.zarr.claim")
    with claimed(place):
        mine = json.loads(claim.read())
    if not mine["began"]:
        pytest.skip("no /proc tells when a process began")
    claim.write(json.dumps({**mine, "process": os.getppid(), **told}).encode())
    if "machine" in told:
        with pytest.raises(ValueError, match=r"on elsewhere since .*remove s3:"), claimed(place):
            pass
    else:
        with claimed(place):
            pass


def test_the_same_journal_takes_the_claim_over_from_any_machine(on_store):
    place, journal = on_store / "a.zarr", "s3://bucket/1.jsonl"
    claim = place.with_name(".a.zarr.claim")
    with claimed(place, journal):
        theirs = json.loads(claim.read())
        claim.write(json.dumps({**theirs, "machine": "elsewhere"}).encode())
        with claimed(place, journal):
            assert json.loads(claim.read())["machine"] != "elsewhere"
        assert not claim.exists()


def test_damaged_claims_stand(on_store):
    place = on_store / "a.zarr"
    place.with_name(".a.zarr.claim").write(b"no JSON")
    with pytest.raises(ValueError, match="is being written by another run"), claimed(place):
        pass


@pytest.mark.parametrize("on", ["disk", "store"])
def test_of_many_at_once_one_holds_the_claim_at_a_time(tmp_path, request, on):
    place = tmp_path / "a.tif" if on == "disk" else request.getfixturevalue("on_store") / "a.tif"
    inside, most, entered, refused = [0], [0], [0], [0]
    counting = threading.Lock()

    def go():
        for _ in range(5):
            try:
                with claimed(place):
                    with counting:
                        inside[0] += 1
                        entered[0] += 1
                        most[0] = max(most[0], inside[0])
                    with counting:
                        inside[0] -= 1
            except ValueError:
                with counting:
                    refused[0] += 1

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert most[0] == 1
    assert entered[0] + refused[0] == 40
    assert isinstance(place, Place) or not list(tmp_path.iterdir())
