"""Fixtures of the plugin: a home of its own, jobs that run in place, answers instead of dialogs."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from PIL import ImageCms
from qtpy.QtWidgets import QApplication, QDialog, QMessageBox
from shapely.geometry import Point, box, mapping

from napari_nic.editing import Choice
from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import get_spec, load_encoder
from napari_nic.errors import CancelledError
from napari_nic.geometry import RegionPx
from napari_nic.pipeline import GridOptions, iter_compress, prepare_store
from napari_nic.plugin.controllers.asking import Leaving
from napari_nic.plugin.controllers.session import ENCODER_SETTING, Session
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.readers import read_slide
from napari_nic.plugin.settings import HOME_VARIABLE, Settings
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.worker import Callbacks, Job, MakeJob
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
from napari_nic.slides import Channel, Slide, open_slide

HEADER_BYTES = 128
"""Of an ICC profile; its tags follow."""

THIRD_PARTY = (
    # napari 0.9 deprecates, and still uses itself, parts of its own and of its dependencies' interfaces.
    "ignore::DeprecationWarning:napari.*",
    "ignore::FutureWarning:napari.*",
    "ignore::DeprecationWarning:vispy.*",
    "ignore::DeprecationWarning:magicgui.*",
    "ignore::DeprecationWarning:qtpy.*",
    "ignore::DeprecationWarning:pydantic.*",
    "ignore::DeprecationWarning:app_model.*",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Third parties may warn here; what our own code does still fails."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for line in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture(scope="session", autouse=True)
def no_modal_dialogs() -> Iterator[None]:
    """A dialog that nobody expects must fail a test; left to itself it would wait for a click for ever."""
    with pytest.MonkeyPatch.context() as patch:

        def refuse(dialog: Any) -> int:
            text = dialog.text() if hasattr(dialog, "text") else ""
            pytest.fail(f"an unexpected dialog opened: {dialog.windowTitle()} {text}")

        for kind in (QDialog, QMessageBox):
            patch.setattr(kind, "exec", refuse)
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's files: an empty folder."""
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings in the empty home."""
    return Settings()


class Answers:
    """Answers questions as the test says and remembers what it was told."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.notices: list[str] = []
        self.questions: list[str] = []
        self.mpp: float | None = None
        self.agree = False
        self.chosen_folder: Path | None = None
        self.chosen_channels: tuple[int, ...] | None = None
        self.chosen_scene: int | None = None
        self.leave: Leaving = "cancel"
        self.read_from: Path | None = None
        self.side: Choice | None = None
        self.saved_to: Path | None = None
        self.waited_for: list[Slide] = []
        self.patient = True

    def tell_error(self, error: Exception) -> None:
        self.errors.append(error)

    def tell(self, message: str) -> None:
        self.notices.append(message)

    def pixel_size(self, slide: Slide, reason: str) -> float | None:
        self.questions.append(f"pixel size: {reason}")
        return self.mpp

    def confirm(self, title: str, text: str, *, yes: str, no: str) -> bool:
        self.questions.append(f"{title}: {text}")
        return self.agree

    def channels(self, path: Path, channels: Sequence[Channel]) -> tuple[int, ...] | None:
        self.questions.append("channels: " + ", ".join(channel.name for channel in channels))
        return self.chosen_channels

    def scene(self, path: Path, scenes: Sequence[str]) -> int | None:
        self.questions.append("scene: " + ", ".join(scenes))
        return self.chosen_scene

    def folder(self, title: str) -> Path | None:
        self.questions.append(title)
        return self.chosen_folder

    def leaving(self, title: str, text: str) -> Leaving:
        self.questions.append(f"{title}: {text}")
        return self.leave

    def which_side(self, title: str, text: str) -> Choice | None:
        self.questions.append(f"{title}: {text}")
        return self.side

    def save_to(self, title: str, start: Path) -> Path | None:
        self.questions.append(f"{title}: {start.name}")
        return self.saved_to

    def mask_to_write(self, start: Path) -> Path | None:
        self.questions.append(f"mask to write: {start.name}")
        return self.saved_to

    def mask_to_read(self, start: Path) -> Path | None:
        self.questions.append(f"mask to read: {start.name}")
        return self.read_from

    def wait_for_overview(self, slide: Slide) -> bool:
        self.waited_for.append(slide)
        return self.patient


@pytest.fixture
def answers() -> Answers:
    """A user made by code."""
    return Answers()


class InlineRunner:
    """Runs jobs in place. With `hold` set they wait until :meth:`step` or :meth:`finish` drives them."""

    def __init__(self) -> None:
        self.hold = False
        self.titles: list[str] = []
        self.waiting: list[tuple[Job, Any, Callbacks]] = []

    def start(self, title: str, make: MakeJob, callbacks: Callbacks) -> Job:
        job = Job(title)
        job.token.when_heard(callbacks.heard)
        self.titles.append(title)
        self.waiting.append((job, make(job.token), callbacks))
        if not self.hold:
            self.finish()
        return job

    def step(self) -> Any:
        """Drive the oldest job to its next report and return that; None when it ended."""
        job, generator, callbacks = self.waiting[0]
        try:
            report = next(generator)
        except StopIteration as end:
            self._end(job)
            if not job.token.cancelled:
                callbacks.returned(end.value)
        except CancelledError:
            self._end(job)
        except Exception as error:  # noqa: BLE001 -- what a worker thread does: whatever it is, it is told
            self._end(job)
            callbacks.failed(error)
        else:
            callbacks.yielded(report)
            return report
        callbacks.finished()
        return None

    def _end(self, job: Job) -> None:
        job.running = False
        self.waiting.pop(0)

    def finish(self) -> None:
        """Drive all jobs to their ends."""
        while self.waiting:
            self.step()

    def shutdown(self) -> None:
        for job, generator, _ in self.waiting:
            job.cancel()
            generator.close()
        self.waiting.clear()


@pytest.fixture
def runner() -> Iterator[InlineRunner]:
    """A runner without threads."""
    made = InlineRunner()
    yield made
    made.shutdown()


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect garbage after a test with windows, so that leaks show up in it and not in the next one."""
    yield
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def settled() -> Iterator[None]:
    """Leave what a module leaves, libraries for the most part, out of collections to come.

    A window is closed with several of them, and each looked through all that was ever imported.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def window(make_napari_viewer, qtbot) -> Iterator[tuple[Any, NicDock]]:
    """A viewer and its dock."""
    Settings().set(ENCODER_SETTING, "mean-rgb")
    viewer = make_napari_viewer()
    dock = NicDock(viewer)
    viewer.window.add_dock_widget(dock, name="NIC")
    yield viewer, dock
    dock.shut_down()


@pytest.fixture
def with_slide(window, slide_file, add_slide) -> tuple[Any, NicDock]:
    """The same with the made slide open."""
    viewer, dock = window
    add_slide(viewer, slide_file)
    QApplication.processEvents()
    return viewer, dock


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer without a window."""
    return ViewerModel()


@pytest.fixture
def slide_file(tmp_path: Path, slide_path: Path) -> Path:
    """The made slide, 1100 x 1500 px at 0.5 um/px, alone in a folder that may be written to."""
    folder = tmp_path / "slides"
    folder.mkdir()
    return Path(shutil.copy(slide_path, folder / "made.tif"))


@pytest.fixture
def unscaled_file(tmp_path: Path, make_tiff, make_tissue) -> Path:
    """A slide that does not say how large its pixels are."""
    return make_tiff(tmp_path / "unscaled.tif", make_tissue(300, 400), factors=(1,), mpp=None)


@pytest.fixture
def profiled_file(tmp_path: Path, make_tissue) -> Path:
    """A slide whose colour profile moves colours: its red and green are swapped."""
    path = tmp_path / "profiled.tif"
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for old, new in ((b"rXYZ", b"????"), (b"gXYZ", b"rXYZ"), (b"????", b"gXYZ")):
        at = profile.index(old, HEADER_BYTES)
        profile[at : at + 4] = new
    resolution = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 um/px
    tile = {"tile": (256, 256), "photometric": "rgb"}
    tifffile.imwrite(path, make_tissue(400, 500), iccprofile=bytes(profile), **tile, **resolution)
    return path


@pytest.fixture
def add_slide() -> Iterator[Callable[[Any, Path], Any]]:
    """``add_slide(viewer, path)`` opens a slide as the reader does and returns its layer."""
    slides = []

    def add(viewer: Any, path: Path) -> Any:
        ((data, options, _),) = read_slide(path)
        layer = viewer.add_image(data, **options)
        slides.append(tag_of(layer).slide)
        return layer

    yield add
    for slide in slides:
        slide.close()


@pytest.fixture
def session(viewer: ViewerModel, settings: Settings, answers: Answers) -> Iterator[Session]:
    """A session without slides, mean-RGB chosen."""
    settings.set(ENCODER_SETTING, "mean-rgb")
    made = Session(viewer, settings, answers)
    yield made
    made.close()


@pytest.fixture
def opened(session: Session, slide_file: Path, add_slide: Callable[[Any, Path], Any]) -> Session:
    """A session with the made slide open."""
    add_slide(session.viewer, slide_file)
    return session


@pytest.fixture
def compress_file() -> Callable[..., CompressedSlide]:
    """``compress_file(path, first=None, options=None)`` makes the store of mean-RGB that a run would make."""

    def run(
        path: Path, *, first: RegionPx | None = None, options: GridOptions | None = None
    ) -> CompressedSlide:
        with open_slide(path) as slide:
            loaded = load_encoder("mean-rgb")
            store = prepare_store(slide, loaded, options=options)
            for _ in iter_compress(
                slide, loaded, store, first=first, only_first=first is not None, workers=1
            ):
                pass
        return store

    return run


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    """A model of two classes on mean-RGB codes; its weights are drawn, not trained."""
    import torch

    from napari_nic.slide_models.network import SlideNet

    config = SlideNetConfig.compact(3, 1, crop_size=16, width=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
    card = ModelCard(
        name="made-model",
        task="classification",
        class_names=("normal", "lesion"),
        encoder=get_spec("mean-rgb").to_dict(),
        network=config,
        not_for="anything",
    )
    standardiser = Standardiser(np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32))
    return ModelBundle(card, weights, standardiser).save(tmp_path / "made-model")


@pytest.fixture
def outlines_file(tmp_path: Path) -> Path:
    """Annotations of the made slide: a tumour with a hole, a strip of stroma, one mark."""
    tumour = box(400, 300, 900, 700).difference(box(500, 400, 600, 500))
    return write_geojson(
        tmp_path / "outlines.geojson",
        [
            ("Tumour", tumour, (213, 94, 0)),
            ("Stroma", box(950, 300, 1100, 800), None),
            ("Mark", Point(50, 60), None),
        ],
    )


def write_geojson(path: Path, shapes: list[tuple[str, Any, tuple[int, int, int] | None]]) -> Path:
    """Write QuPath GeoJSON."""
    features = []
    for label, geometry, color in shapes:
        classification: dict[str, Any] = {"name": label}
        if color is not None:
            classification["color"] = list(color)
        features.append(
            {
                "type": "Feature",
                "id": f"id-{label}",
                "geometry": mapping(geometry),
                "properties": {"objectType": "annotation", "classification": classification},
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path
