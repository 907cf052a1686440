"""Finding tissue: stain, fat, pen, dust, empty glass; real slides."""

from __future__ import annotations

import json
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import CancelledError, MissingPixelSizeError
from napari_nic.jobs import CancellationToken, Outcome
from napari_nic.slides import open_slide, overview
from napari_nic.tissue import TissueOptions, find_tissue, iter_find_tissue, segment_tissue

UM = 8.0
SHAPE = (300, 400)
INKS = {
    "blue": (30, 65, 150),
    "light blue": (110, 160, 210),
    "green": (20, 120, 60),
    "teal": (0, 130, 125),
    "red": (205, 30, 45),
    "black": (35, 35, 40),
}


def glass(level: int = 243, noise: float = 1.5, seed: int = 0) -> np.ndarray:
    """Empty glass with the grain of a scan, (300, 400, 3) float."""
    rng = np.random.default_rng(seed)
    return np.full((*SHAPE, 3), level, float) + rng.normal(0, noise, (*SHAPE, 3))


def disk(y: float, x: float, radius: float) -> np.ndarray:
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - y) ** 2 + (cols - x) ** 2 < radius**2


def as_image(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def stained(where: np.ndarray, color: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Glass with tissue of one stain, (300, 400, 3) uint8."""
    pixels = glass(seed=seed)
    pixels[where] += np.asarray(color) - 243
    return as_image(pixels)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


@pytest.mark.parametrize(
    "color",
    [(225, 170, 205), (110, 70, 150), (150, 100, 60), (236, 218, 230), (205, 60, 90)],
    ids=["stroma", "nuclei", "DAB", "pale eosin", "blood"],
)
def test_stains_are_found(color):
    where = disk(150, 200, 80)
    mask, _ = segment_tissue(stained(where, color), UM)
    assert iou(mask, where) > 0.95


def test_pale_beside_dark():
    """Otsu's threshold on plain stain would lie half-way to dark and lose the pale half."""
    where = disk(150, 200, 80)
    image = stained(where, (110, 70, 150))
    pale = where & (np.arange(SHAPE[1]) > 200)
    image[pale] = stained(where, (236, 218, 230))[pale]
    mask, _ = segment_tissue(image, UM)
    assert iou(mask, where) > 0.95


@pytest.mark.parametrize("level", [255, 243, 225, 190])
@pytest.mark.parametrize("noise", [0.0, 1.5, 4.0])
def test_empty_glass_has_no_tissue(level, noise):
    mask, threshold = segment_tissue(as_image(glass(level, noise)), UM)
    assert not mask.any()
    assert threshold > 0


def test_uneven_light_is_no_tissue():
    light = np.linspace(0.96, 1.02, SHAPE[1])[None, :, None]
    mask, _ = segment_tissue(as_image(glass(240) * light), UM)
    assert mask.mean() < 0.01


def test_tissue_that_fills_the_picture():
    rng = np.random.default_rng(0)
    pixels = np.where(rng.random((*SHAPE, 1)) < 0.3, (110, 70, 150), (225, 170, 205))
    mask, _ = segment_tissue(as_image(pixels), UM)
    assert mask.mean() > 0.99


def test_white_filler_is_not_taken_for_glass():
    """Scanners fill what they did not scan with pure white, and more of it than there is glass."""
    where = disk(150, 120, 60)
    image = stained(where, (236, 218, 230))
    image[:, 230:] = 255
    mask, _ = segment_tissue(image, UM)
    assert iou(mask, where) > 0.93


def test_specks_and_grey_things_are_dropped():
    where = disk(150, 200, 80)
    image = stained(where, (225, 170, 205))
    speck = disk(40, 40, 6)  # 96 um across
    grey = disk(250, 350, 25)
    image[speck] = (150, 90, 160)
    image[grey] = (120, 120, 120)
    mask, _ = segment_tissue(image, UM)
    assert not (mask & speck).any()
    assert not (mask & grey).any()
    assert iou(mask, where) > 0.95
    kept, _ = segment_tissue(image, UM, TissueOptions(min_area_um2=1000))
    assert (kept & speck).sum() > 0.8 * speck.sum()


def test_a_grey_scan_is_not_all_dropped():
    where = disk(150, 200, 80)
    mask, _ = segment_tissue(stained(where, (150, 150, 150)), UM)
    assert iou(mask, where) > 0.95


@pytest.mark.parametrize(
    ("max_hole", "small", "large"), [(8192, True, False), (0, False, False), (1e6, True, True)]
)
def test_holes(max_hole, small, large):
    lumen, vessel = disk(150, 150, 4), disk(150, 220, 25)
    image = stained(disk(150, 190, 90) & ~lumen & ~vessel, (225, 170, 205))
    mask, _ = segment_tissue(image, UM, TissueOptions(max_hole_um2=max_hole, fat=False))
    assert mask[150, 150] == small
    assert mask[150, 220] == large


def test_a_bay_at_the_border_is_no_hole():
    image = stained(~disk(0, 200, 6), (225, 170, 205))
    mask, _ = segment_tissue(image, UM, TissueOptions(max_hole_um2=1e6, fat=False))
    assert not mask[0, 200]


def fat_net(seed: int = 0) -> np.ndarray:
    """Pale fat in a disk: cells of about 70 um whose walls are a hint of pink at 8 um/px."""
    rng = np.random.default_rng(seed)
    where = disk(150, 200, 100)
    points = rng.uniform(0, 1, (3000, 2)) * SHAPE
    subdivision = cv2.Subdiv2D((0, 0, SHAPE[1], SHAPE[0]))
    subdivision.insert([(float(x), float(y)) for y, x in points])
    facets, _ = subdivision.getVoronoiFacetList([])
    walls = np.zeros(SHAPE, np.uint8)
    for facet in facets:  # walls seen edge-on are dark, others hardly there
        cv2.polylines(walls, [facet.astype(np.int32)], True, int(rng.integers(0, 256)), 1, cv2.LINE_AA)
    pixels = glass(seed=seed)
    pixels -= (walls / 255.0 * where)[..., None] * (14, 28, 20)
    return as_image(pixels), where


def test_pale_fat_is_found_by_its_texture():
    image, where = fat_net()
    mask, _ = segment_tissue(image, UM)
    assert iou(mask, where) > 0.8  # the net has no sharp edge
    without, _ = segment_tissue(image, UM, TissueOptions(fat=False))
    assert without.sum() < 0.5 * where.sum()


def test_dust_is_no_fat():
    rng = np.random.default_rng(0)
    image = as_image(glass())
    for y, x in rng.integers(0, SHAPE, (150, 2)):
        image[y, x] = 150
    mask, _ = segment_tissue(image, UM)
    assert not mask.any()


def pen_picture(ink: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tissue, a stroke of marker beside it and one across it: picture, tissue, ink."""
    where = disk(170, 250, 90)
    image = stained(where, (225, 170, 205)).astype(float)
    stroke = np.zeros(SHAPE, np.float32)
    cv2.line(stroke, (40, 30), (60, 280), 1.0, 40)
    cv2.line(stroke, (180, 20), (390, 120), 1.0, 30)
    stroke = cv2.GaussianBlur(stroke, (0, 0), 2)
    image *= (np.asarray(ink) / 255.0) ** stroke[..., None]  # ink lets light through
    return as_image(image), where, stroke


@pytest.mark.parametrize("ink", INKS.values(), ids=INKS.keys())
def test_pen_is_left_out_and_with_it_what_lies_under_it(ink):
    image, where, stroke = pen_picture(ink)
    mask, _ = segment_tissue(image, UM)
    on_glass = (stroke > 0.3) & ~where
    assert (mask & on_glass).sum() < 0.02 * on_glass.sum()
    clear = where & (cv2.dilate(stroke, np.ones((25, 25))) < 0.01)
    assert (mask & clear).sum() > 0.99 * clear.sum()


def test_pen_over_tissue_is_left_out():
    image, where, stroke = pen_picture(INKS["green"])
    mask, _ = segment_tissue(image, UM)
    under = where & (stroke > 0.5)
    assert not (mask & under).any()


def test_pen_is_kept_on_demand():
    image, _, stroke = pen_picture(INKS["green"])
    mask, _ = segment_tissue(image, UM, TissueOptions(drop_pen=False))
    assert mask[stroke > 0.9].all()


def test_a_dot_of_ink_colour_is_no_pen():
    """A green dot of 0.04 mm2 within tissue stays tissue: pigment, or a dyed margin."""
    where = disk(150, 200, 80)
    image = stained(where, (225, 170, 205))
    image[disk(150, 200, 13)] = INKS["green"]
    mask, _ = segment_tissue(image, UM)
    assert mask[150, 200]


# On slides


def test_on_a_slide(slide_path, slide_image):
    with open_slide(slide_path) as slide:
        tissue = find_tissue(slide)
        assert set(slide.reads.tiles) == {2}  # the level of 8 um/px
    assert tissue.placement.step_um == pytest.approx((8, 8))
    assert "Otsu" in tissue.method
    rows, cols = tissue.mask.shape
    y, x = np.mgrid[:rows, :cols]
    ellipse = ((y + 0.5) * 16 / 1100 - 0.5) ** 2 + ((x + 0.5) * 16 / 1500 - 0.5) ** 2 < 0.36**2
    assert iou(tissue.mask, ellipse) > 0.93


def test_a_slide_of_one_level_gives_nearly_the_same(tmp_path, slide_path, slide_image, make_tiff):
    flat = make_tiff(tmp_path / "flat.tif", slide_image, factors=(1,))
    with open_slide(slide_path) as one, open_slide(flat) as other:
        mask, flat_mask = find_tissue(one).mask, find_tissue(other).mask
    assert iou(mask, flat_mask[: mask.shape[0], : mask.shape[1]]) > 0.98


def test_memory_does_not_hold_the_level(tmp_path, monkeypatch):
    """A slide of one level, 48 MB decoded: a fraction of that is held at a time."""
    monkeypatch.setattr(overview, "STRIP_PIXELS", 2**19)
    image = np.full((4000, 4000, 3), 240, np.uint8)
    image[1000:3000, 1000:3000] = (225, 170, 205)
    options = {"compression": "zlib", "photometric": "rgb", "metadata": None, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "flat.tif", image, tile=(256, 256), resolution=(2e4, 2e4), **options)
    with open_slide(tmp_path / "flat.tif") as slide:
        tracemalloc.start()
        try:
            tissue = find_tissue(slide)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < image.nbytes / 4
    assert tissue.mask.mean() == pytest.approx(0.25, abs=0.01)


def test_without_a_pixel_size(tmp_path, make_tissue, make_tiff):
    path = make_tiff(tmp_path / "unknown.tif", make_tissue(300, 300), mpp=None)
    with open_slide(path) as slide, pytest.raises(MissingPixelSizeError, match="--mpp"):
        find_tissue(slide)


def test_cancelling(slide_path):
    token = CancellationToken()
    token.cancel()
    with open_slide(slide_path) as slide, pytest.raises(CancelledError):
        find_tissue(slide, token=token)


@pytest.mark.data
def test_expert_outline_of_cmu(cmu_path, data_dir):
    """The outline was drawn by hand along the tissue and leaves its frayed rim out: Dice 0.88 measured."""
    outline = data_dir / "annotations" / "CMU-1-Small-Region-tissue.geojson"
    if not outline.is_file():
        pytest.skip(f"{outline} is not there")
    found = json.loads(outline.read_text())
    features = found["features"] if isinstance(found, dict) else found
    with open_slide(cmu_path) as slide:
        tissue = find_tissue(slide)
        height, width = slide.levels[0].shape
    expert = np.zeros((height, width), np.uint8)
    for feature in features:
        rings = feature["geometry"]["coordinates"]
        cv2.fillPoly(expert, [np.rint(ring).astype(np.int32) for ring in rings], 1)
    ours = np.kron(tissue.mask, np.ones((16, 16), bool))[:height, :width]
    dice = 2 * np.count_nonzero(ours & (expert > 0)) / (ours.sum() + expert.sum())
    assert dice > 0.86


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("BS17-HE", 0.13, 0.18),  # strips of liver
        ("BS22-HE", 0.05, 0.08),  # small biopsies
        ("colon-adenocarcinoma-HE2", 0.42, 0.56),  # much fat
        ("mucinous-adenocarcinoma-colon-HE", 0.38, 0.46),  # mucus and fat, striped glass
        ("glycogenstorage-HE", 0.16, 0.20),
    ],
)
def test_real_overviews(data_dir, name, low, high):
    """Shares of tissue of masks that were looked at and found right, at about 20 um/px."""
    path = data_dir / "patches" / "atlas_wsi_thumbnails" / "HE" / f"thumbnail_{name}.png"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    mask, _ = segment_tissue(np.asarray(Image.open(path).convert("RGB")), 20.0)
    assert low < mask.mean() < high


def test_finding_tells_how_far_it_is(tmp_path, make_tissue, make_tiff):
    """A slide of one level is read whole, which may take minutes."""
    path = make_tiff(tmp_path / "one.tif", make_tissue(1000, 1400), factors=(1,), tile=128)
    with open_slide(path) as slide:
        outcome = Outcome(iter_find_tissue(slide))
        reports = list(outcome)
        assert [report.done for report in reports] == list(range(1, reports[0].total + 1))
        assert len(reports) > 3
        assert np.array_equal(outcome.value.mask, find_tissue(slide).mask)
