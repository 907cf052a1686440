"""Two inputs never share an output, names follow what the user sees, and nothing of others is removed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from napari_nic.embeddings import CompressedSlide, find_stores

ENCODER = ("--encoder", "mean-rgb")


@pytest.fixture
def twins(slide: Path, make_tiff, make_tissue) -> tuple[Path, Path]:
    """Two slides of one name: an original and its conversion, say."""
    return slide, make_tiff(slide.with_name("made.tiff"), make_tissue(700, 900, seed=4))


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_two_slides_of_one_name_are_refused_before_anything_is_done(cli, twins, options) -> None:
    outcome = cli("compress", twins[0].parent, *ENCODER, *options)
    assert outcome.code == 1
    assert "made.tif and" in outcome.err
    assert "made.tiff would be written to the same place" in outcome.err
    assert len(outcome.err.splitlines()) <= 2
    assert find_stores(twins[0]) == []


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_slides_of_one_name_in_two_folders(cli, twins, tmp_path: Path, options) -> None:
    other = tmp_path / "scanner B" / "MADE.tif"
    other.parent.mkdir()
    twins[1].rename(other)
    outcome = cli("compress", twins[0], other, *ENCODER, "--out", tmp_path / "stores", *options)
    assert outcome.code == 1
    assert "same place" in outcome.err
    assert not (tmp_path / "stores").exists()


def test_a_slide_named_twice_is_one(cli, slide: Path, monkeypatch) -> None:
    monkeypatch.chdir(slide.parent)
    outcome = cli("compress", "made.tif", "./made.tif", slide, *ENCODER, "--json")
    assert [record["ok"] for record in outcome.json] == [True]


def test_a_slide_and_its_store_are_one(cli, slide: Path, store: Path) -> None:
    outcome = cli("pca", slide, store, "--json")
    assert outcome.code == 0
    assert len(outcome.json) == 1


@pytest.fixture
def stores(cli, store: Path, tmp_path: Path) -> list[Path]:
    """A store, and another of the same name in another folder."""
    other = tmp_path / "other" / "Made.nic.zarr"
    other.parent.mkdir()
    shutil.copytree(store, other)
    return [store, other]


@pytest.mark.parametrize(
    "command",
    [
        ("pca",),
        ("predict", "--model", "tiny"),
        ("saliency", "--model", "tiny"),
        *(("export", "--format", name) for name in ("npy", "trident", "clam", "clam-pt", "stamp", "zarr")),
        ("export", "--overwrite", "--format", "zarr"),
    ],
)
def test_no_command_writes_two_inputs_to_one_place(cli, stores, tiny_model, tmp_path: Path, command) -> None:
    outcome = cli(*command, *stores, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "would be written to the same place" in outcome.err
    assert not (tmp_path / "out").exists()


def test_the_codes_of_another_slide_of_that_name_are_not_taken(cli, twins) -> None:
    assert cli("compress", twins[0], *ENCODER).code == 0
    assert cli("pca", twins[0]).code == 0
    outcome = cli("pca", twins[1], "--out", twins[1].with_name("other.png"))
    assert outcome.code == 1
    assert "another slide" in outcome.err
    assert not twins[1].with_name("other.png").exists()


@pytest.mark.parametrize("name", ["npy", "trident", "clam", "clam-pt", "stamp", "zarr"])
def test_outputs_follow_the_name_that_the_store_has_now(cli, store: Path, tmp_path: Path, name) -> None:
    renamed = store.rename(store.with_name("P07.B2.nic.zarr"))
    outcome = cli("export", renamed, "--format", name, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0
    files = [Path(file).name for file in outcome.json[0]["files"]]
    assert all(file.startswith("P07.B2") for file in files)
    assert "made" not in "".join(files)


def test_a_name_inside_a_store_leads_nowhere(cli, store: Path, tmp_path: Path) -> None:
    file = store / "zarr.json"
    document = json.loads(file.read_text())
    document["attributes"]["napari_nic"].pop("content_sha256", None)  # as in stores of before
    document["attributes"]["napari_nic"]["slide_name"] = "../../escaped"
    document["attributes"]["napari_nic"]["encoder"]["name"] = "../../C:evil\x1b"
    file.write_text(json.dumps(document))
    renamed = store.rename(store.with_name("anything"))
    for name in ("trident", "stamp", "npy", "zarr", "clam"):
        out = tmp_path / "deep" / "out"
        outcome = cli("export", renamed, "--format", name, "--out", out, "--overwrite", "--json")
        assert outcome.code == 0, outcome.err
        for made in outcome.json[0]["files"]:
            assert Path(made).resolve().is_relative_to(out.resolve())
            assert "\x1b" not in made
    assert sorted(entry.name for entry in (tmp_path / "deep").iterdir()) == ["out"]


@pytest.mark.parametrize("folder", ["run.2024", "v1.2"])
def test_a_folder_may_have_dots(cli, slide: Path, store: Path, tmp_path: Path, folder) -> None:
    other = store.with_name("b.nic.zarr")
    shutil.copytree(store, other)
    for command in (("pca",), ("export", "--format", "npy")):
        assert cli(*command, store, other, "--out", tmp_path / folder).code == 0
    assert (tmp_path / folder / "made.pca.png").is_file()


def test_a_file_of_another_kind_is_no_folder(cli, store: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "a.jpg", store):
        outcome = cli("pca", store, "--out", out)
        assert outcome.code == 2
        assert "expected: a name that ends in .png, or a folder" in outcome.err
    assert not (tmp_path / "a.jpg").exists()


def _foreign(folder: Path, attributes: dict[str, object]) -> Path:
    folder.mkdir()
    node = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (folder / "zarr.json").write_text(json.dumps(node))
    (folder / "precious.txt").write_text("x")
    return folder


@pytest.mark.parametrize("attributes", [{"other": "program"}, {"napari_nic": {"schema": 1}}])
def test_overwrite_removes_nothing_of_others(cli, slide: Path, store: Path, attributes) -> None:
    folder = _foreign(slide.with_name("mine.nic.zarr"), attributes)
    commands = (("compress", slide, *ENCODER), ("export", store, "--format", "zarr"))
    for command in commands:
        outcome = cli(*command, "--out", folder, "--overwrite")
        assert outcome.code == 1
        assert "something that is not a compressed slide is in the way" in outcome.err
        assert (folder / "precious.txt").read_text() == "x"


def test_overwrite_does_not_delete_through_a_link(cli, slide: Path, store: Path, tmp_path: Path) -> None:
    kept = store.rename(tmp_path / "kept.nic.zarr")
    store.symlink_to(kept)
    outcome = cli("compress", slide, *ENCODER, "--overwrite")
    assert outcome.code == 1
    assert "a link" in outcome.err
    assert CompressedSlide.open(kept).is_complete


@pytest.mark.parametrize("content", [b"", b'{"zarr_format": 3, "node_ty', None])
def test_a_damaged_store_of_ours_may_be_replaced(cli, slide: Path, store: Path, content) -> None:
    if content is None:
        shutil.rmtree(store / "done")
    else:
        (store / "zarr.json").write_bytes(content)
    assert cli("compress", slide, *ENCODER).code == 1
    assert cli("compress", slide, *ENCODER, "--overwrite").code == 0
    assert CompressedSlide.open(store).is_complete


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind")
def test_a_full_disk_harms_no_picture_that_is_there(cli, store: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    command = ("pca", store, "--cell-px", "60", "--out", picture)
    assert cli(*command).code == 0
    before = picture.read_bytes()
    arguments = [sys.executable, "-m", "napari_nic.cli", *map(str, command)]
    # Our own command line with our own arguments.
    outcome = subprocess.run(  # noqa: S603
        arguments, capture_output=True, text=True, preexec_fn=_full, check=False
    )
    assert outcome.returncode == 1
    assert "larger than is allowed" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert picture.read_bytes() == before
    with Image.open(picture) as image:
        image.load()
    assert [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def _full() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


def test_long_names_are_said(cli, slide: Path, store: Path) -> None:
    for command in (("pca", store), ("compress", slide, *ENCODER), ("export", store, "--format", "npy")):
        outcome = cli(*command, "--out", slide.parent / ("x" * 300))
        assert outcome.code == 1
        assert "too long" in outcome.err.lower()
        assert "Traceback" not in outcome.err
    outcome = cli("compress", "x" * 5000, *ENCODER)
    assert outcome.code == 1


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_unicode(cli, slide: Path) -> None:
    name = os.fsdecode(b"caf\xe9.tif")
    slide.rename(slide.with_name(name))
    assert cli("compress", slide.with_name(name), *ENCODER, "-q").code == 0
    assert cli("export", slide.parent, "--format", "trident", "-q").code == 0


def test_a_file_in_the_place_of_a_store_costs_its_slide_alone(cli, twins) -> None:
    folder = twins[0].parent
    twins[1].rename(folder / "other.tif")
    (folder / "other.nic.zarr").write_text("a text")
    (folder / "lonely.nic.zarr").write_text("a text")
    outcome = cli("compress", folder, *ENCODER, "--json")
    assert outcome.code == 1
    assert [(Path(record["input"]).name, record["ok"]) for record in outcome.json] == [
        ("made.tif", True),
        ("other.tif", False),
    ]
    assert "other.nic.zarr: this is not a compressed slide" in outcome.err
    assert (folder / "other.nic.zarr").read_text() == "a text"


def test_all_files_of_a_folder_are_compressed_again(cli, slide: Path, store: Path) -> None:
    outcome = cli("compress", slide, store, *ENCODER)
    assert outcome.code == 0
    assert "complete already" in outcome.out
    outcome = cli("compress", store, *ENCODER)
    assert outcome.code == 1
    assert "called like a compressed slide" in outcome.err


def test_features_are_not_imported_over_a_compressed_slide(cli, store: Path, tmp_path: Path) -> None:
    features = tmp_path / "features"
    assert cli("export", store, "--format", "npy", "--out", features).code == 0
    for name in ("a", "b", "c"):
        for file in features.glob("made_*"):
            shutil.copy(file, file.with_name(file.name.replace("made", name)))
    table = tmp_path / "cohort.csv"
    table.write_text("slide,label\nmade,a\na,b\nb,a\nc,b\n")
    mine = tmp_path / "run" / "stores" / "made.nic.zarr"
    shutil.copytree(store, mine)
    before = {file: file.read_bytes() for file in mine.rglob("*") if file.is_file()}
    outcome = cli("models", "train", table, "--stores", features, "--out", tmp_path / "run", "--mpp", "0.5")
    assert outcome.code == 1
    assert "a compressed slide is where the codes of the table would be imported to" in outcome.err
    assert {file: file.read_bytes() for file in mine.rglob("*") if file.is_file()} == before
