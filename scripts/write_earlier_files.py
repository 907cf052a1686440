"""Write the files that the tests of earlier versions' files open, by the version that is installed.

Run it with the sources of the version that is to be remembered, and keep the archive among the tests::

    git worktree add /tmp/then COMMIT
    PYTHONPATH=/tmp/then/src python scripts/write_earlier_files.py tests/fixtures/earlier_files.zip

Everything is tiny: a slide, stores, two encoders, patches, models, and trainings that were stopped.
What today's version must find in them is in ``expected.json`` (numbers as that version gave them).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import tifffile
import torch
from onnx import TensorProto, helper, numpy_helper

from napari_nic.cohorts import CohortTraining, read_cohort, train_cohort
from napari_nic.encoders import load_encoder
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.patches import ExtractRecipe, TileFolder, extract_patches
from napari_nic.slide_models import ModelBundle, TrainingSettings, predict
from napari_nic.slides import open_slide
from napari_nic.training.options import TrainOptions
from napari_nic.training.recipe import TrainRecipe
from napari_nic.training.sets import StoreSet

ROOT = Path("/tmp/earlier-files")  # noqa: S108 - plans hold paths: one that tells nothing of a machine
SIDE = 600
STOPPED_AFTER = 3


def main() -> None:
    """Write all files, what is expected of them, and the archive."""
    archive = Path(sys.argv[1])
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    os.environ["NAPARI_NIC_HOME"] = str(ROOT / "home")
    slide()
    stores()
    imported_encoder()
    patches()
    encoder_training()
    codes = {name: code(ROOT / name) for name in ("home/encoders/tiny", "trained")}
    expected = {"root": str(ROOT), "codes": codes, **cohort()}
    (ROOT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")
    with zipfile.ZipFile(archive, "w") as out:
        for file in sorted(ROOT.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(
                    file.relative_to(ROOT).as_posix()
                )  # dated 1980: the same bytes each time
                out.writestr(entry, file.read_bytes(), zipfile.ZIP_LZMA)
    shutil.rmtree(ROOT)
    print(archive, archive.stat().st_size, "bytes")


def present(*modules: str) -> Any:
    """Return the first module that the version has."""
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.import_module(modules[0])
    return present(*modules[1:])


def nic(*words: object) -> None:
    """Run the command line of the version."""
    program = "import sys; from napari_nic.cli.__main__ import start; sys.exit(start())"
    subprocess.run([sys.executable, "-c", program, *map(str, words)], check=True)


def picture(seed: int, side: int = SIDE) -> np.ndarray:
    """Smooth pink tissue on glass, (side, side, 3) uint8, RGB."""
    rng = np.random.default_rng(seed)
    blobs = cv2.resize(rng.random((12, 12, 1), np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:side, :side] / side - 0.5
    inside = np.clip((0.44 - np.hypot(y, x)) * 40, 0, 1)[..., None]
    tissue = np.array([215, 140, 190], np.float32) - 90 * blobs[..., None] * np.array([1, 1, 0.3], np.float32)
    return np.clip(tissue * inside + 243 * (1 - inside), 0, 255).astype(np.uint8)


def slide() -> None:
    """Write a pyramid of two levels."""
    image = picture(0)
    with tifffile.TiffWriter(ROOT / "slide.tif") as out:
        for step in (1, 4):
            level = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
            out.write(
                level,
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 60},
                tile=(128, 128),
                resolution=(1e4 / 0.5 / step,) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(step > 1),
                metadata=None,
            )


def stores() -> None:
    """Compress the slide twice, once with the codes of its dihedral transforms, and export one."""
    for encoder, more in (("mean-rgb", ("--augment", "8", "--patch-size", "64")), ("nic-default", ())):
        nic(
            "compress",
            ROOT / "slide.tif",
            "--encoder",
            encoder,
            "-o",
            ROOT / f"{encoder}.nic.zarr",
            "-q",
            *more,
        )
    prepare_store = present("napari_nic.pipeline", "napari_nic.compress").prepare_store
    with open_slide(ROOT / "slide.tif") as opened:
        prepare_store(opened, load_encoder("mean-rgb"), path=ROOT / "begun.nic.zarr").close()
    for form in ("npy", "trident"):
        nic("export", ROOT / "mean-rgb.nic.zarr", "--format", form, "-o", ROOT / "exports", "-q")


def imported_encoder() -> None:
    """Import a small graph."""
    rng = np.random.default_rng(1)
    weights = numpy_helper.from_array(rng.normal(0, 0.1, (4, 3, 8, 8)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[8, 8]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [weights],
    )
    file = ROOT / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    nic("encoders", "import", file, "--out", "tiny", "--mpp", "0.5", "--input-size", "64")
    file.unlink()


def code(encoder: Path) -> list[float]:
    """Return the code of one patch."""
    patch = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(1, 64, 64, 3) * 7919 % 251
    return [
        float(value)
        for value in load_encoder(str(encoder), device="cpu", precision="float32").encode(
            patch.astype(np.uint8)
        )[0]
    ]


def cohort() -> dict[str, Any]:
    """Train on slides of synthetic tissue to the end, and once more until the second model is begun."""
    made = ROOT / "cohort"
    parts = ("--train", 4, "--validation", 2, "--test", 2, "--sides", 5, 7, "--seed", 3)
    nic("synthetic", "cohort", "-o", made, *parts, "--encoder", "mean-rgb", "-q")
    learned = read_cohort(made / "cohort.csv", "classification")
    settings = TrainingSettings(epochs=5, steps=3, batch_size=4, patience=1, seed=1)
    training = CohortTraining(name="earlier", width=4, seeds=2, settings=settings)
    for _ in train_cohort(learned, ROOT / "finished", training, device="cpu"):
        pass
    token = CancellationToken()
    with contextlib.suppress(CancelledError):
        epochs = 0
        for report in train_cohort(learned, ROOT / "stopped", training, device="cpu", token=token):
            epochs += getattr(report, "seed", 0) == 2 and report.unit == "epochs"
            if epochs == STOPPED_AFTER:
                token.cancel()
    run = next(ROOT.glob("finished/fold*-seed1"))
    nic("predict", ROOT / "mean-rgb.nic.zarr", "--model", run, "-o", ROOT / "predictions", "-q")
    scores = {"mean-rgb": score(run, "mean-rgb"), "nic-default": score("lesion-demo", "nic-default")}
    return {"model": run.relative_to(ROOT).as_posix(), "scores": scores}


def score(model: Path | str, store: str) -> list[float]:
    """Return a model's mean scores of a store."""
    # What is called otherwise in some version is looked up by either name.
    with present("napari_nic.embeddings", "napari_nic.compressed").CompressedSlide.open(
        ROOT / f"{store}.nic.zarr"
    ) as opened:
        return [float(value) for value in predict(ModelBundle.load(model), opened, device="cpu").mean]


def patches() -> None:
    """Cut patches of the slide and of a labelled folder of tiles."""
    for index, name in enumerate(("benign", "benign", "tumour", "tumour")):
        folder = ROOT / "tiles" / name
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{index}.png"), picture(10 + index)[220:300, 220:380, ::-1] // 16 * 16)
    tiles = TileFolder(ROOT / "tiles", 1.0, labelled=True)
    for _ in extract_patches(ExtractRecipe(ROOT / "made.patches.zarr", tiles=[tiles], size=80, mpp=1.0)):
        pass
    shutil.rmtree(ROOT / "tiles")


def encoder_training() -> None:
    """Train two encoders and stop one; all channels begin alike, so that the archive stays small."""
    torch.nn.init.kaiming_uniform_ = lambda tensor, **_: torch.nn.init.constant_(
        tensor, 0.5 / tensor[0].numel()
    )
    torch.nn.init.uniform_ = lambda tensor, *_: torch.nn.init.zeros_(tensor)
    store = ROOT / "made.patches.zarr"
    train_encoder = present("napari_nic.training.train", "napari_nic.training.recipe").train_encoder
    options = TrainOptions(steps=6, batch_size=4, validate_every=2, architecture="nic-64", code_size=4)
    for name, stop in (("trained", None), ("training-stopped", 3)):
        token = CancellationToken()
        recipe = TrainRecipe(
            name, "supervised", [StoreSet(store)], ROOT / name, {"licence": "MIT"}, "cpu", options
        )
        with contextlib.suppress(CancelledError):
            for report in train_encoder(recipe, token=token):
                if report.unit == "steps" and report.done == stop:
                    token.cancel()


if __name__ == "__main__":
    main()
