"""Readers and models that commands compare: their files, the slides that they read, and what each says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.annotated import extent_of_store, path_beside
from napari_nic.cli.annotation_input import add_input, extent_of, read_input
from napari_nic.cli.annotation_pictures import known_pixel
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import open_encoded
from napari_nic.cli.inputs import find_stores
from napari_nic.cli.saliency import target_number
from napari_nic.errors import AnnotationError, CancelledError, NicError, StoreError
from napari_nic.jobs import Progress

if TYPE_CHECKING:
    from napari_nic.annotations import SlideExtent
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.geometry import PixelSize
    from napari_nic.jobs import CancellationToken
    from napari_nic.reader_study import Reading, ReadSlide
    from napari_nic.reader_study.detections import Detections
    from napari_nic.slide_models import ModelBundle
    from napari_nic.slides import SlideFolder


def add_files(parser: argparse.ArgumentParser, *, models: bool) -> None:
    """Add the readers' files, how they are read, and the slides; with `models`, what models say too."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="annotation file of each reader, all of one slide; or a folder of each reader, with files that "
        "are called like their slides",
    )
    parser.add_argument("--folder", action="store_true", help="the names are folders, one for each reader")
    add_input(parser)
    parser.add_argument(
        "--stores",
        metavar="PATH",
        help="compressed slide, or folder of them: tells pixel sizes and where tissue is",
    )
    parser.add_argument(
        "--label", action="append", metavar="CLASS", help="only this class; may be given again; default: all"
    )
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="another name for a class, where readers or models call it differently; may be given again",
    )
    if models:
        _add_models(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models", "what takes part beside the files; needs --stores")
    group.add_argument(
        "--prediction", action="append", default=[], metavar="MODEL", help="a model's prediction of each cell"
    )
    group.add_argument(
        "--saliency",
        action="append",
        default=[],
        metavar="MODEL",
        help="where a model's saliency speaks for its target",
    )
    group.add_argument("--target", metavar="CLASS", help="of the saliency; default: the model's last class")
    group.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)


@dataclass(frozen=True)
class SlideFiles:
    """One slide and the readers' files of it.

    Attributes
    ----------
    name : str
    paths : tuple of Path
        In the order of the readers.
    """

    name: str
    paths: tuple[Path, ...]


class ReadingPlan:
    """Which slides are read, and by whom.

    Parameters
    ----------
    args : Namespace
        With the options of :func:`add_files`.
    console : Console
        Hears of files that not every reader has.

    Attributes
    ----------
    readers : list of str
    slides : list of SlideFiles
    unmatched, failed : list of (str, str)
        Files that take no part, and slides that could not be read, and why.
    described : list of (str, str)
        Readers and models of the slide that was read last, and how their areas came about.
    is_cohort : bool
        Whether folders were named.
    """

    def __init__(self, args: argparse.Namespace, console: Console) -> None:
        from napari_nic.reader_study.matching import match_by_slide, reader_names, slide_name

        self._args, self._console = args, console
        self._names = dict(_renaming(text) for text in args.rename)
        paths = [Path(name) for name in args.files]
        self.is_cohort = args.folder or all(path.is_dir() for path in paths)
        self.readers = reader_names(paths)
        self.unmatched: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.described: list[tuple[str, str]] = []
        if self.is_cohort:
            matched = match_by_slide(paths, self.readers)
            self.slides = [SlideFiles(name, files) for name, files in matched.slides.items()]
            self.unmatched = [(str(path), why) for path, why in matched.unmatched]
        else:
            self.slides = [SlideFiles(slide_name(paths[0]), tuple(paths))]
        self._models: dict[str, ModelBundle] = {}
        self._stores = self._find_stores()
        self._pictures = self._find_pictures()
        if (predictions(args) or saliencies(args)) and self._stores is None:
            raise arguments.UsageError(
                "models need codes", expected="--stores, with the compressed slides", found="none"
            )

    @property
    def names(self) -> list[str]:
        """Readers, and after them the models."""
        args = self._args
        told = [f"prediction of {self._bundle(name).card.name}" for name in predictions(args)]
        return [
            *self.readers,
            *told,
            *(f"saliency of {self._bundle(name).card.name}" for name in saliencies(args)),
        ]

    def tell_unmatched(self) -> None:
        """Name the files that take no part; the command ends with exit code 1 then."""
        for name, why in self.unmatched:
            self._console.missed(name, why)

    def read(self, slide: SlideFiles, token: CancellationToken) -> ReadSlide:
        """Read what everybody says of a slide.

        Raises
        ------
        NicError
            If a file or store cannot be read, or the pixel size is not known.
        """
        from napari_nic.reader_study import Reading, ReadSlide

        store = self._store_of(slide.name)
        picture = self._picture_of(slide.name, store)
        extent = self._extent(store, picture)
        pixel = self._pixel(slide, extent)
        found = [
            Reading(name, read_input(path, self._args, extent, token))
            for name, path in zip(self.readers, slide.paths, strict=True)
        ]
        if store is not None:
            found += self._of_models(store, token)
        readings = tuple(reading.renamed(self._names) for reading in found)
        self.described = [(reading.name, reading.how) for reading in readings]
        return ReadSlide(slide.name, pixel, readings, extent, store, picture)

    def peaks(self, model: str, read: ReadSlide, token: CancellationToken) -> Detections:
        """Return the peaks of a model's prediction of a class (``args.target``) as detections."""
        from napari_nic.reader_study import ValueMap
        from napari_nic.reader_study.detections import map_detections
        from napari_nic.slide_models import predict

        store, args = read.store, self._args
        if store is None:
            raise arguments.UsageError("models need codes", expected="--stores, with the compressed slides")
        bundle = self._bundle(model)
        prediction = predict(bundle, store, device=args.device, token=token)
        scores = prediction.of_cells()[..., target_number(bundle.card, args.target)]
        values = ValueMap(scores, prediction.mask, store.grid)
        return map_detections(values, apart_um=args.apart, least=args.least, token=token)

    def _of_models(self, store: CompressedSlide, token: CancellationToken) -> list[Reading]:
        from napari_nic.explain import grad_cam
        from napari_nic.reader_study import prediction_reading, saliency_reading
        from napari_nic.slide_models import predict

        args, found = self._args, []
        for name in predictions(args):
            prediction = predict(self._bundle(name), store, device=args.device, token=token)
            found.append(prediction_reading(prediction, store.grid, token=token))
        for name in saliencies(args):
            bundle = self._bundle(name)
            bundle.check_store(store)
            target = target_number(bundle.card, args.target)
            codes, mask = store.read(token=token), store.encoded()
            saliency = grad_cam(bundle, codes, mask, target=target, device=args.device, token=token)
            found.append(saliency_reading(saliency, store.grid, token=token))
        return found

    def _bundle(self, name: str) -> ModelBundle:
        from napari_nic.slide_models import ModelBundle

        if name not in self._models:
            self._models[name] = ModelBundle.load(name)
        return self._models[name]

    def _find_stores(self) -> Mapping[str, Path] | None:
        from napari_nic.cli.inputs import store_of
        from napari_nic.names import slide_stem

        if self._args.stores is None:
            return None
        return {slide_stem(store_of(path)): path for path in find_stores([self._args.stores])}

    def _find_pictures(self) -> SlideFolder | None:
        from napari_nic.slides import SlideFolder

        given = self._args.slide
        return None if given is None or not self.is_cohort else SlideFolder.of(Path(given))

    def _store_of(self, slide: str) -> CompressedSlide | None:
        if self._stores is None:
            return None
        if len(self._stores) == 1 and not self.is_cohort:
            return open_encoded(next(iter(self._stores.values())), self._console)
        if slide not in self._stores:
            raise StoreError(
                "no compressed slide is called like this slide",
                path=self._args.stores,
                expected=slide,
                found=", ".join(sorted(self._stores)[:4]),
            )
        return open_encoded(self._stores[slide], self._console)

    def _picture_of(self, slide: str, store: CompressedSlide | None) -> Path | None:
        if self._pictures is None:
            if self._args.slide is None:
                return None if store is None else path_beside(store)
            return Path(self._args.slide)
        found = self._pictures.find(slide)
        if found is None:
            raise AnnotationError("this slide is not in the folder", path=self._args.slide, expected=slide)
        return found

    def _extent(self, store: CompressedSlide | None, picture: Path | None) -> SlideExtent | None:
        if self._args.slide is not None:
            return extent_of(argparse.Namespace(slide=str(picture), mpp=self._args.mpp))
        return None if store is None else extent_of_store(store)

    def _pixel(self, slide: SlideFiles, extent: SlideExtent | None) -> PixelSize:
        from napari_nic.geometry import PixelSize

        mpp = self._args.mpp
        if extent is not None:
            return known_pixel(extent.pixel_size, slide.name)
        if mpp is None:
            raise arguments.UsageError(
                "the pixel size is not known", expected="--slide SLIDE, --stores PATH, or --mpp UM"
            )
        return PixelSize(mpp, mpp)


def each_slide(
    plan: ReadingPlan, console: Console, token: CancellationToken, work: Callable[[SlideFiles], None]
) -> Generator[Progress, None, None]:
    """Do something with each slide; of a cohort, one that cannot be read does not stop the others."""
    total = len(plan.slides)
    for number, slide in enumerate(plan.slides):
        token.checkpoint()
        yield Progress(number, total, slide.name, "slides")
        try:
            work(slide)
        except CancelledError:
            raise
        except NicError as error:
            if not plan.is_cohort or isinstance(error, arguments.UsageError):
                raise
            plan.failed.append((slide.name, error.problem))
            console.missed(slide.name, str(error))
    yield Progress(total, total, "", "slides")


def predictions(args: argparse.Namespace) -> list[str]:
    """Models whose predictions take part."""
    return list(getattr(args, "prediction", ()))


def saliencies(args: argparse.Namespace) -> list[str]:
    """Models whose saliency takes part."""
    return list(getattr(args, "saliency", ()))


def _renaming(text: str) -> tuple[str, str]:
    old, said, new = text.rpartition("=")
    if not said or not old or not new:
        raise arguments.UsageError("a class is renamed by --rename OLD=NEW", found=text)
    return old, new
