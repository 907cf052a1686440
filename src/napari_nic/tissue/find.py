"""Find tissue on a slide: read it small, tell what was not scanned, and segment the picture."""

from __future__ import annotations

from collections.abc import Generator

from napari_nic.errors import UnsupportedPixelsError
from napari_nic.jobs import CancellationToken, Progress, result_of
from napari_nic.slides import Slide, iter_read_overview
from napari_nic.tissue.bright import is_bright_on_black
from napari_nic.tissue.components import drop_small, fill_holes
from napari_nic.tissue.mask import TissueMask
from napari_nic.tissue.segment import Look, TissueOptions
from napari_nic.tissue.unscanned import find_unscanned


def find_tissue(
    slide: Slide,
    *,
    options: TissueOptions | None = None,
    workers: int = 2,
    token: CancellationToken | None = None,
) -> TissueMask:
    """Find tissue on a slide, by a threshold on stain or, where the options say so, by a network.

    For the threshold the slide is looked at in about 8 um/px: its coarsest level that fine is averaged down
    in strips (:func:`~napari_nic.slides.read_overview`), so that memory stays small on slides of one level
    too. Glass of more than 39 x 39 mm is looked at more coarsely.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    options : TissueOptions, optional
        Resolution, areas and switches.
    workers : int
        Threads that decode.
    token : CancellationToken, optional
        Checked between tiles and steps.

    Returns
    -------
    TissueMask
        At the overview's resolution.

    Raises
    ------
    MissingPixelSizeError
        If the slide's pixel size is not known.
    DamagedSlideError
        If no tile of the level that is looked at can be read.
    CancelledError
        If `token` was cancelled.

    See Also
    --------
    iter_find_tissue : the same as a generator, which tells how far it is.

    Notes
    -----
    **Unscanned areas.** What a scanner fills with one even grey, or with black, is no tissue
    (:func:`~napari_nic.tissue.unscanned.find_unscanned`). Where tiles cannot be read, nobody knows: they are
    taken for tissue, so that whatever needs them says that they are damaged.

    **Pen marks.** Green, blue, red and black marker ink is recognised by its colour and its size (at least
    0.1 mm2) and is **left out**, with a margin of 40 um, and so is whatever tissue lies under it, since an
    encoder would see ink and not tissue. A dot smaller than that, and ink in the colours of the stains
    (violet, navy, pink, brown), is not recognised. See :func:`~napari_nic.tissue.pen.find_pen`.
    """
    return result_of(iter_find_tissue(slide, options=options, workers=workers, token=token))


def iter_find_tissue(
    slide: Slide,
    *,
    options: TissueOptions | None = None,
    workers: int = 2,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, TissueMask]:
    """Do what :func:`find_tissue` does; yield while the slide is read, and return the mask.

    A slide of one level is read whole, which takes minutes where it is large.
    """
    options = options or TissueOptions()
    token = token or CancellationToken()
    if options.method == "unet":
        return (yield from _by_network(slide, options, token))
    overview = yield from iter_read_overview(slide, options.mpp, workers=workers, token=token)
    step, placement, damaged = overview.placement.step_um, overview.placement, overview.damaged
    shines = slide.is_fluorescence or is_bright_on_black(overview.image)
    unscanned = None if shines else find_unscanned(slide, overview, token)
    image = [overview.image]
    del overview  # so that the picture is let go as soon as it is no longer needed
    look = Look(image, (step[0] * step[1]) ** 0.5, options, token, unscanned)
    mask, threshold = look.bright() if shines else look.segment()
    for tile in damaged:  # nobody knows what is there: the tiles that are encoded will tell
        mask[tile.region.slices] = True
    return TissueMask(mask, placement, _method(look, threshold, step[0], len(damaged)))


def _by_network(
    slide: Slide, options: TissueOptions, token: CancellationToken
) -> Generator[Progress, None, TissueMask]:
    """Find tissue by a network, fill holes and drop specks as after the threshold."""
    from napari_nic.tissue.unet.predict import Predictor, iter_find

    if slide.is_fluorescence:
        raise UnsupportedPixelsError(
            "the network knows stained tissue on bright glass, and this slide is light on black",
            path=slide.path,
            hint="find its tissue by the threshold",
        )
    predictor = Predictor.load(options.network)
    mask, grid, damaged = yield from iter_find(slide, predictor, token=token)
    step = grid.placement.step_um
    area = step[0] * step[1]
    mask = drop_small(fill_holes(mask, options.max_hole_um2 / area), options.min_area_um2 / area)
    name, sha256 = predictor.spec.name, predictor.spec.weights_sha256
    unread = f", {damaged} unreadable windows taken for tissue" if damaged else ""
    return TissueMask(mask, grid.placement, f"U-Net {name} ({sha256[:12]}) at {step[0]:.3g} um/px{unread}")


def _method(look: Look, threshold: float, step_um: float, damaged: int) -> str:
    """Say for the store's record how the mask was made."""
    what = f"brightness > {threshold:.0f}" if look.is_bright else f"stain > {threshold:.3f}"
    unread = f", {damaged} unreadable tiles taken for tissue" if damaged else ""
    return f"{what} (Otsu) at {step_um:.3g} um/px{unread}"
