"""Opening whatever somebody sent runs none of it and reaches nothing: watched by the interpreter's audit."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

CHILD = r"""
import json, os, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
folder = Path(sys.argv[1])

import h5py, huggingface_hub, imagecodecs, onnxruntime, safetensors, tifffile, timm, torch, zarr
from napari_nic.annotations import read_annotations
from napari_nic.cohorts import read_cohort, read_listing
from napari_nic.apart import _CHILD as TESTER
from napari_nic.embeddings import CompressedSlide, import_store
from napari_nic.encoders import get_spec, import_keras, list_encoders, load_encoder
from napari_nic.encoders.external import Settings, TimmWeights, import_encoder, import_model_file, import_timm
from napari_nic.plugin.settings import Settings as Remembered
from napari_nic.slide_models import ModelBundle
from napari_nic.slides import open_slide

FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system",
             "os.exec", "os.posix_spawn", "os.startfile", "webbrowser.open", "pickle.find_class",
             "urllib.Request", "http.client.connect", "ftplib.connect")
seen, watching = [], [False]

def watch(event, args):
    # The one process that is started: ours, which reads HDF5 before we do. What is read there is asked of it
    # by name, by the modules that this program names, see test_apart.py. Newer Pythons start it by another
    # call, which is watched too.
    apart = event in ("subprocess.Popen", "os.posix_spawn") and TESTER in args[1]
    if watching[0] and event in FORBIDDEN and not apart:
        seen.append(f"{event} {args}"[:200])

sys.addaudithook(watch)
facts = Settings(mpp=0.5, input_size=32)
file = TimmWeights

def slide(path):
    with open_slide(path) as opened:
        opened.level_shapes

WAYS = {
    "slides": [slide],
    "annotations": [read_annotations],
    "stores": [CompressedSlide.open],
    "features": [lambda path: import_store(path, folder / "made.nic.zarr")],
    "models": [lambda path: import_model_file(path, name="made", settings=facts)],
    "folders": [get_spec, load_encoder, lambda path: import_encoder(path, name="made")],
    "weights": [lambda path: import_timm("test_vit", weights=file(file=path), name="made"),
                lambda path: import_timm("hf-hub:somebody/net", weights=file(file=path), name="made")],
    "keras": [lambda path: import_keras(path, name="made")],
    "bundles": [lambda path: ModelBundle.load(path).network()],
    "tables": [lambda path: read_cohort(path, "classification"), read_listing],
    "settings": [Remembered],
}
told = {}
for kind, ways in WAYS.items():
    for path in sorted((folder / kind).glob("*")):
        for number, way in enumerate(ways):
            watching[0] = True
            try:
                way(path)
                outcome = "opened"
            except Exception as error:  # what it says is for other tests
                outcome = type(error).__name__
            finally:
                watching[0] = False
            told[f"{kind}/{path.name} {number}"] = outcome
print(json.dumps({"seen": seen, "told": told}))
"""


class Touch:
    """Unpickling it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """What somebody sent: files of every kind that a user opens, with a pickle or an address in each."""
    folder, evil = tmp_path / "sent", pickle.dumps(Touch(tmp_path / "ran"))
    for write in (_pickles, _addresses, _hdf5, _archives, _zarr, _encoders, _tables):
        write(folder, evil)
    return folder


def put(folder: Path, kind: str, name: str, content: bytes | str) -> Path:
    """Write a file of a kind."""
    path = folder / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _pickles(folder: Path, evil: bytes) -> None:
    for name in ("a.svs", "a.tif", "a.png", "a.ndpi", "a.mrxs", "a.dcm", "a.npy"):
        put(folder, "slides", name, evil)
    for name in ("a.xml", "a.geojson", "a.json"):
        put(folder, "annotations", name, evil)
    for name in ("a.pt", "a.pth", "a.bin", "a.safetensors", "a.ckpt"):
        put(folder, "weights", name, evil)
    for name in ("a.pt", "a.pt2", "a.onnx", "a.ts"):
        put(folder, "models", name, evil)
    for name in ("a.h5", "a.npy", "a.pt", "a.npz", "a.h5ad", "bag.pt", "bag.index.npz", "a.features.0.npy"):
        put(folder, "features", name, evil)
    put(folder, "features", "a.meta.json", '{"artifact_type": "tile_embeddings", "num_tiles": 1}')
    put(folder, "keras", "a.h5", evil)
    put(folder, "tables", "a.csv", evil)
    put(folder, "settings", "plugin.json", evil)
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    put(folder, "features", "objects.npy", content.getvalue() + evil)


def _addresses(folder: Path, _: bytes) -> None:
    entity = '<!DOCTYPE a [<!ENTITY x SYSTEM "{}"> <!ENTITY % y SYSTEM "{}"> %y;]>'
    for name, where in (("web", "http://127.0.0.1:9/x"), ("file", "file:///etc/passwd")):
        body = (
            entity.format(where, where)
            + "<ASAP_Annotations><Annotations>&x;</Annotations></ASAP_Annotations>"
        )
        put(folder, "annotations", f"{name}.xml", f'<?xml version="1.0"?>{body}')
    put(folder, "slides", "web.vms", "[Virtual Microscope Specimen]\nImageFile=http://127.0.0.1:9/x.jpg\n")


def _hdf5(folder: Path, _: bytes) -> None:
    for kind in ("keras", "features"):
        put(folder, kind, "links.h5", b"")
        with h5py.File(folder / kind / "links.h5", "w") as file:
            file.attrs["model_config"] = json.dumps(
                {
                    "class_name": "Sequential",
                    "config": [{"class_name": "Lambda", "config": {"function": "eval"}}],
                }
            )
            for name in ("model_weights", "features", "coords"):
                file[name] = h5py.ExternalLink("/etc/passwd", "/")


def _archives(folder: Path, evil: bytes) -> None:
    """Archives as PyTorch writes them, with another pickle in them."""
    import torch

    made = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, made)
    for kind, name in (("weights", "zip.pth"), ("models", "zip.pt"), ("models", "zip.pt2")):
        content = io.BytesIO()
        with zipfile.ZipFile(made) as old, zipfile.ZipFile(content, "w") as new:
            for member in old.namelist():
                new.writestr(member, evil if member.endswith("data.pkl") else old.read(member))
            if kind == "models":
                new.writestr("archive/constants.pkl", evil)
                new.writestr("archive/models/model.json", "{}")
                new.writestr("archive/data/sample_inputs/model.pt", evil)
        put(folder, kind, name, content.getvalue())


def _zarr(folder: Path, evil: bytes) -> None:
    """A Zarr picture of version 2 whose chunks are to be unpickled."""
    for kind, name in (("slides", "codec.zarr"), ("stores", "codec.nic.zarr")):
        root = folder / kind / name
        (root / "0").mkdir(parents=True)
        attributes = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}], "version": "0.4"}]}
        array = {
            "zarr_format": 2, "shape": [16, 16], "chunks": [16, 16], "dtype": "|u1", "order": "C",
            "fill_value": 0, "compressor": None, "filters": [{"id": "pickle"}],
        }  # fmt: skip
        (root / ".zgroup").write_text('{"zarr_format": 2}')
        (root / ".zattrs").write_text(json.dumps(attributes))
        (root / "0" / ".zarray").write_text(json.dumps(array))
        (root / "0" / "0.0").write_bytes(evil)
    _zarr_tables(folder, array, evil)


def _zarr_tables(folder: Path, array: dict[str, object], evil: bytes) -> None:
    """A table of SpatialData, and features of TIAToolbox, whose chunks are to be unpickled."""
    said = {"region": "tiles", "instance_key": "tile_id"}
    for name, inner in (
        ("spatial", ("tables/a/X", "tables/a/obs/tile_id")),
        ("tia", ("features", "coordinates")),
    ):
        root = folder / "features" / f"{name}.zarr"
        for part in inner:
            (root / part).mkdir(parents=True)
            for above in Path(part).parents:
                (root / above / ".zgroup").write_text('{"zarr_format": 2}')
                (root / above / ".zattrs").write_text(json.dumps(said))
            (root / part / ".zarray").write_text(json.dumps(array | {"dtype": "|O"}))
            (root / part / "0.0").write_bytes(evil)


def _encoders(folder: Path, evil: bytes) -> None:
    import hashlib

    spec = {
        "name": "sent", "code_size": 64, "patch_size": 64, "mpp": 0.5, "input_size": 64,
        "weights_sha256": hashlib.sha256(evil).hexdigest(),
    }  # fmt: skip
    options = {"mean": [0, 0, 0], "std": [1, 1, 1], "pooling": "auto", "prefix_tokens": 1}
    timm = {
        "hub": {"model": "hf-hub:timm/resnet18.a1_in1k", "model_args": {}},
        "local": {"model": "local-dir:/etc", "model_args": {}},
        "checkpoint": {"model": "resnet18", "model_args": {"checkpoint_path": "/etc/passwd"}},
        "config": {"model": "resnet18", "model_args": {"pretrained_cfg": {"url": "http://127.0.0.1:9/x"}}},
        "pretrained": {"model": "resnet18", "model_args": {"pretrained": True}},
    }
    folders = {name: ("timm", "weights.safetensors", more) for name, more in timm.items()}
    folders |= {
        "torchscript": ("torchscript", "model.pt", {}),
        "export": ("torch-export", "model.pt2", {}),
        "onnx": ("onnx", "model.onnx", {}),
        "own": ("nic-64", "weights.safetensors", {}),
        "outside": ("onnx", "model.onnx", {"files": {"../../../etc/passwd": "0" * 64}}),
    }
    for name, (architecture, file, more) in folders.items():
        put(folder, "folders", f"{name}/{file}", evil)
        described = spec | {"architecture": architecture, "options": options | more}
        put(folder, "folders", f"{name}/encoder.json", json.dumps(described))
    put(
        folder,
        "bundles",
        "evil/model.json",
        json.dumps({"format": 1, "name": "x", "encoder": {"name": "/etc"}}),
    )
    put(folder, "bundles", "evil/weights.safetensors", evil)
    config = {
        "architecture": "hf-hub:timm/resnet18",
        "model_args": {"pretrained": True},
        "pretrained_cfg": {},
    }
    put(folder, "weights", "config.json", json.dumps(config))


def _tables(folder: Path, _: bytes) -> None:
    put(folder, "tables", "b.csv", 'slide,label\n=cmd|"/c calc"!A1,1\nhttp://127.0.0.1:9/x.svs,0\n')


def test_opening_what_was_sent_runs_nothing_and_reaches_nothing(sent: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "NAPARI_NIC_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", CHILD, str(sent)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["seen"] == []
    assert not (tmp_path / "ran").exists()
    assert len(found["told"]) > 50
    opened = {name for name, outcome in found["told"].items() if outcome == "opened"}
    # A description is shown and no program opened, settings that are none are empty, a table is listed.
    shown = {name for name in opened if name.startswith("folders/") and name.endswith(" 0")}
    assert opened - shown == {"settings/plugin.json 0", "tables/b.csv 1"}
