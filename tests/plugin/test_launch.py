"""The window as the command line opens it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from napari_nic.errors import NicError, SlideNotFoundError, UnknownNameError
from napari_nic.plugin import launch
from napari_nic.plugin.launch import ViewRequest, demo_window_pictures, open_demo, open_viewer
from napari_nic.plugin.layers import tag_of
from napari_nic.synthetic import make_test_slide

pytestmark = pytest.mark.gui


@pytest.fixture
def opened_viewer(qtbot: Any, collected: None) -> Iterator[Any]:
    """``opened_viewer(request)`` -> (viewer, dock), closed at the end."""
    made = []

    def open_one(request: ViewRequest) -> Any:
        made.append(open_viewer(request, show=False))
        return made[-1]

    yield open_one
    for viewer, dock in made:
        dock.shut_down()
        viewer.close()


def kinds_of(viewer: Any) -> list[str]:
    tags = [tag_of(layer) for layer in viewer.layers]
    return [tag.name if tag.kind == "overlay" else tag.kind for tag in tags if tag is not None]


def test_slide_with_a_store_shows_its_colours(opened_viewer, slide_file, compress_file, qtbot) -> None:
    compress_file(slide_file)
    viewer, dock = opened_viewer(ViewRequest((slide_file,)))
    qtbot.waitUntil(lambda: dock.overlays.state("pca").shown, timeout=20_000)
    qtbot.waitUntil(lambda: not dock.overlays.state("pca").busy, timeout=20_000)
    assert kinds_of(viewer) == ["slide", "pca"]


def test_model_shows_prediction_and_saliency_beside_annotations(
    opened_viewer, slide_file, compress_file, bundle_folder, outlines_file, qtbot
) -> None:
    compress_file(slide_file)
    request = ViewRequest((slide_file,), model=bundle_folder, annotations=(outlines_file,))
    viewer, dock = opened_viewer(request)
    for kind in ("prediction", "saliency"):
        qtbot.waitUntil(lambda kind=kind: dock.overlays.overlay(kind) is not None, timeout=60_000)
    assert {"prediction", "saliency"} <= set(kinds_of(viewer))
    assert "Tumour 1" in dock.annotating.summary()
    assert dock.models.bundle.name == "made-model"


def test_annotations_of_the_command_can_be_reloaded(opened_viewer, slide_file, outlines_file, qtbot) -> None:
    _, dock = opened_viewer(ViewRequest((slide_file,), annotations=(outlines_file,)))
    assert dock.annotating.can_reload()
    outlines_file.write_text('{"type": "FeatureCollection", "features": []}', "utf-8")
    dock.annotating.reload()
    assert dock.annotating.summary() == ""


def test_pixel_size_of_the_user(opened_viewer, unscaled_file) -> None:
    _, dock = opened_viewer(ViewRequest((unscaled_file,), mpp=0.25))
    assert dock.session.slide.pixel_size.mean == 0.25


def test_store_brings_its_slide(opened_viewer, slide_file, compress_file) -> None:
    store = compress_file(slide_file)
    viewer, _ = opened_viewer(ViewRequest((store.path,)))
    assert "slide" in kinds_of(viewer)


def test_what_cannot_be_opened_is_found_out_before_there_is_a_window(
    tmp_path: Path, slide_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari.Viewer", None)
    with pytest.raises(SlideNotFoundError):
        open_viewer(ViewRequest((tmp_path / "none.svs",)))
    with pytest.raises(UnknownNameError):
        open_viewer(ViewRequest((slide_file,), model="none"))
    with pytest.raises(NicError):
        open_viewer(ViewRequest((slide_file,), annotations=(slide_file,)))


def test_demonstration_in_the_window(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any, collected: None
) -> None:
    made = make_test_slide(tmp_path / "demo.tif")
    monkeypatch.setattr(launch, "demo_slide", lambda _: (made.path, made.annotation_path))
    pictures = demo_window_pictures(tmp_path / "out", model=bundle_folder)
    assert [path.name for path in pictures] == [
        "window-pca.png",
        "window-prediction.png",
        "window-saliency.png",
    ]
    looks = set()
    for path in pictures:
        with Image.open(path) as image:
            assert image.width > 1000
            looks.add(image.tobytes())
    assert len(looks) == len(pictures)


def test_the_dock_in_a_picture_of_the_demonstration_names_what_is_shown(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any, collected: None
) -> None:
    made = make_test_slide(tmp_path / "demo.tif")
    monkeypatch.setattr(launch, "demo_slide", lambda _: (made.path, made.annotation_path))
    docks, ticked = [], []

    def open_and_remember(*args: Any, **options: Any) -> Any:
        viewer, dock = open_demo(*args, **options)
        docks.append(dock)
        return viewer, dock

    def look(*_: object, **__: object) -> None:
        rows = docks[0].overlay_section.rows.items()
        ticked.append([kind for kind, row in rows if row.toggle.isChecked()])

    monkeypatch.setattr(launch, "open_demo", open_and_remember)
    monkeypatch.setattr("napari.Viewer.screenshot", look)
    monkeypatch.setattr(
        launch, "PICTURED", ("prediction", "pca", "prediction")
    )  # the last one is there at once
    demo_window_pictures(tmp_path / "out", model=bundle_folder)
    assert ticked == [["prediction"], ["pca"], ["prediction"]]


def test_demonstration_tells_what_would_be_a_dialog(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any, collected: None
) -> None:
    made = make_test_slide(tmp_path / "demo.tif")
    monkeypatch.setattr(launch, "demo_slide", lambda _: (made.path, made.annotation_path))
    for name in ("demo.nic.zarr", "demo.mean-rgb.nic.zarr"):
        (tmp_path / name).touch()
    with pytest.raises(NicError):
        demo_window_pictures(tmp_path / "out", model=bundle_folder)
