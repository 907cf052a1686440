"""Glass that is removed: tiles left out, glass made white, and tissue exactly as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import jpeglib
import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import distance_transform_edt

from napari_nic.errors import InvalidParameterError, MissingPixelSizeError, UnsupportedPixelsError
from napari_nic.geometry import Placement, RegionPx
from napari_nic.jobs import result_of
from napari_nic.recompression import GlassOptions, SlideReport, recompress, try_sample, validate
from napari_nic.recompression.glass import Frame, KeptArea
from napari_nic.recompression.whitening import whiten
from napari_nic.slides import open_slide
from napari_nic.tissue import TissueMask

SIDE, TILE = 1536, 96
MPP = 0.5
GLASS, WHITE = 243, 255
DESCRIPTION = f"Aperio Image Library v11.2.1 \r\n{SIDE}x{SIDE} (96x96) JPEG/RGB Q=40|AppMag = 20|MPP = {MPP}"
MARGIN = 40.0


def slide_picture(side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of grainy glass with a round piece of tissue, and where that is."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:side, :side]
    tissue = np.hypot(y - side * 0.4, x - side * 0.6) < side * 0.2
    pixels = GLASS + rng.normal(0, 1.5, (side, side, 1)) + np.zeros(3)
    stain = np.array([170, 90, 160]) + rng.normal(0, 14, (side, side, 3))
    pixels[tissue] = stain[tissue]
    return np.clip(pixels, 0, 255).astype(np.uint8), tissue


def tiles_of(pixels: np.ndarray) -> list[np.ndarray]:
    steps = range(0, pixels.shape[0], TILE)
    return [np.ascontiguousarray(pixels[y : y + TILE, x : x + TILE]) for y in steps for x in steps]


def encoded(tile: np.ndarray, colors: str = "RGB", steps: str = "444") -> bytes:
    grey = tile.ndim == 2
    more = {} if grey else {"subsampling": steps}
    space = "MINISBLACK" if grey else "RGB"
    outer = "MINISBLACK" if grey else colors
    return bytes(imagecodecs.jpeg8_encode(tile, level=80, colorspace=space, outcolorspace=outer, **more))


Write = Callable[..., Path]


@pytest.fixture
def write_slide(tmp_path: Path, write_pages: Write, make_tiled: Write) -> Write:
    """``write_slide(pixels, colors="RGB", steps="444", tags={}, description=...)``: two levels."""

    def write(pixels: np.ndarray | None = None, **how: Any) -> Path:
        whole = slide_picture()[0] if pixels is None else pixels
        pages = []
        for picture in (whole, whole[::4, ::4]):
            tiles = [encoded(t, how.get("colors", "RGB"), how.get("steps", "444")) for t in tiles_of(picture)]
            pages.append(make_tiled(tiles, picture.shape[0], **how))
        return write_pages(tmp_path / "slide.svs", pages)

    return write


@pytest.fixture
def make_tiled(make_page: Callable[..., Any]) -> Callable[..., Any]:
    """``make_tiled(tiles, side, description, colors="RGB", steps="444", tags={})``: a page of tiles."""

    def make(tiles: list[bytes], side: int, description: str = DESCRIPTION, **how: Any) -> Any:
        is_ycc = how.get("colors") == "YCBCR"
        factors = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[how.get("steps", "444")]
        return make_page(
            tiles,
            compression=7,
            photometric=6 if is_ycc else 2,
            description=description,
            shape=(side, side),
            tags=({530: (3, factors)} if is_ycc else {}) | how.get("tags", {}),
        )

    return make


def removed(slide: Path, out: Path, *, mode: str = "optimize", **options: Any) -> SlideReport:
    glass = GlassOptions(**({"margin_um": MARGIN, "fill": "empty"} | options))
    return result_of(recompress(slide, out, mode, glass=glass, workers=2))


@pytest.mark.parametrize(
    ("mode", "fill"), [("optimize", "empty"), ("optimize", "white"), ("progressive", "white")]
)
@pytest.mark.parametrize(("colors", "steps"), [("RGB", "444"), ("YCBCR", "420"), ("YCBCR", "422")])
def test_tissue_stays_and_glass_goes(
    write_slide: Write, tmp_path: Path, colors: str, steps: str, mode: str, fill: str
) -> None:
    slide, out = write_slide(colors=colors, steps=steps), tmp_path / "out.svs"
    report = removed(slide, out, mode=mode, fill=fill)
    assert report.emptied > 50
    assert report.painted > 10
    assert report.after < 0.8 * report.before
    _, tissue = slide_picture()
    with open_slide(slide) as old, open_slide(out) as new:
        assert [level.shape for level in old.levels] == [level.shape for level in new.levels]
        for number, level in enumerate(old.levels):
            whole = RegionPx(0, 0, *level.shape)
            before, after = old.read_region(number, whole), new.read_region(number, whole)
            kept = tissue[:: SIDE // level.shape[0], :: SIDE // level.shape[1]]
            np.testing.assert_array_equal(before[kept], after[kept])
            far = ~near(kept, int(2 * MARGIN / MPP * level.shape[0] / SIDE) + TILE // 2)
            assert (after[far] == WHITE).all()
    assert not result_of(validate(out)).can_restore


def near(mask: np.ndarray, distance: int) -> np.ndarray:
    return distance_transform_edt(~mask) <= distance


def test_a_few_cells_away_from_all_tissue_are_kept(write_slide: Write, tmp_path: Path) -> None:
    pixels, _ = slide_picture()
    few = np.zeros(pixels.shape[:2], bool)
    few[1200:1240, 200:240] = True  # 20 x 20 um
    pixels[few] = (150, 80, 160)
    slide, out = write_slide(pixels), tmp_path / "out.svs"
    result_of(recompress(slide, out, "optimize", glass=GlassOptions(), workers=2))
    with open_slide(slide) as old, open_slide(out) as new:
        place = RegionPx(1190, 190, 60, 60)
        np.testing.assert_array_equal(old.read_region(0, place), new.read_region(0, place))


def test_other_programs_see_the_same_frame(write_slide: Write, tmp_path: Path) -> None:
    slide, out = write_slide(), tmp_path / "out.svs"
    removed(slide, out)
    for suffix in (".svs", ".tif"):  # OpenSlide's drivers for Aperio and for any TIFF
        path = out.rename(out.with_suffix(suffix))
        with openslide.OpenSlide(slide) as old, openslide.OpenSlide(path) as new:
            assert new.level_dimensions == old.level_dimensions
            assert not [name for name in new.properties if "bounds" in name]
            center = (int(SIDE * 0.6) - 100, int(SIDE * 0.4) - 100)
            pictures = [np.asarray(one.read_region(center, 0, (200, 200))) for one in (old, new)]
            np.testing.assert_array_equal(*pictures)
        out = path


def test_first_and_last_tile_of_each_level_are_written(write_slide: Write, tmp_path: Path) -> None:
    slide, out = write_slide(), tmp_path / "out.svs"
    removed(slide, out)
    with tifffile.TiffFile(out) as tiff:
        for page in tiff.pages:
            counts = page.databytecounts
            assert counts[0] > 0
            assert counts[-1] > 0
        assert tiff.pages[0].databytecounts.count(0) > 50
        first = imagecodecs.jpeg8_decode(read_tile(out, tiff.pages[0], 0))
        assert (first == WHITE).all()


def test_a_white_tile_is_seen_as_white_by_programs_that_show_nothing_as_black(
    write_slide: Write, tmp_path: Path
) -> None:
    slide, empty, white = write_slide(), tmp_path / "empty.svs", tmp_path / "white.svs"
    removed(slide, empty, fill="empty")
    removed(slide, white, fill="white")
    assert 0 < white.stat().st_size - empty.stat().st_size < 2500
    for number in range(2):
        with tifffile.TiffFile(empty) as one, tifffile.TiffFile(white) as other:
            pictures = [tiff.pages[number].asarray() for tiff in (one, other)]
            assert 0 not in other.pages[number].databytecounts
        assert pictures[0].min() == 0
        left_out = (pictures[0] == 0).all(axis=2)
        assert (pictures[1][left_out] == WHITE).all()
        np.testing.assert_array_equal(pictures[0][~left_out], pictures[1][~left_out])


def read_tile(path: Path, page: Any, number: int) -> bytes:
    data = path.read_bytes()
    at = page.dataoffsets[number]
    return data[at : at + page.databytecounts[number]]


def test_a_tile_that_several_places_share_is_left_out_only_if_all_are_glass(
    tmp_path: Path, write_pages: Write, make_tiled: Write
) -> None:
    pixels, tissue = slide_picture()
    tiles = [encoded(tile) for tile in tiles_of(pixels)]
    glass = next(
        n for n, tile in enumerate(tiles_of(np.repeat(tissue[..., None], 3, 2))) if not tile.any() and n
    )
    inside = int(0.4 * 16) * 16 + int(0.6 * 16)
    tiles[inside] = tiles[glass]  # the same bytes are written once, for both
    page = make_tiled(tiles, SIDE)
    slide, out = write_pages(tmp_path / "slide.svs", [page]), tmp_path / "out.svs"
    removed(slide, out)
    with tifffile.TiffFile(out) as tiff:
        assert tiff.pages[0].databytecounts[inside] > 0


def test_what_would_be_saved_is_told_before(write_slide: Write, tmp_path: Path) -> None:
    slide = write_slide()
    sample = result_of(
        try_sample(slide, tmp_path / "x.svs", "optimize", glass=GlassOptions(margin_um=MARGIN))
    )
    report = removed(slide, tmp_path / "out.svs")
    assert sample.emptied == report.emptied
    assert sample.after == pytest.approx(report.after, rel=0.15)
    assert not (tmp_path / "x.svs").exists()


def test_jpeg_2000_tiles_of_glass_are_left_out_and_others_copied(
    tmp_path: Path, write_pages: Write, make_tiled: Write
) -> None:
    pixels, _ = slide_picture()
    tiles = [bytes(imagecodecs.jpeg2k_encode(t, codecformat="j2k", level=0)) for t in tiles_of(pixels)]
    page = make_tiled(tiles, SIDE)
    page = replace(page, tags=page.tags | {259: (3, (33005,))})
    slide, out = write_pages(tmp_path / "slide.svs", [page]), tmp_path / "out.svs"
    report = removed(slide, out)
    assert report.emptied > 50
    assert report.painted == 0
    with tifffile.TiffFile(slide) as old, tifffile.TiffFile(out) as new:
        for number, size in enumerate(new.pages[0].databytecounts):
            assert size == 0 or read_tile(out, new.pages[0], number) == read_tile(slide, old.pages[0], number)


def test_glass_is_not_removed_where_the_original_is_promised(write_slide: Write, tmp_path: Path) -> None:
    slide = write_slide()
    with pytest.raises(InvalidParameterError, match="gives the original back"):
        result_of(recompress(slide, tmp_path / "out.svs", "repack", glass=GlassOptions()))


def test_nothing_is_written_of_a_slide_without_tissue(write_slide: Write, tmp_path: Path) -> None:
    slide = write_slide(np.full((SIDE, SIDE, 3), GLASS, np.uint8))
    with pytest.raises(InvalidParameterError, match="no tissue was found"):
        removed(slide, tmp_path / "out.svs")
    assert not (tmp_path / "out.svs").exists()


def test_dark_surroundings_are_no_glass(write_slide: Write, tmp_path: Path) -> None:
    pixels, _ = slide_picture()
    slide = write_slide(255 - pixels)
    with pytest.raises(UnsupportedPixelsError, match="dark"):
        removed(slide, tmp_path / "out.svs")


def test_the_pixel_size_must_be_known(write_slide: Write, tmp_path: Path) -> None:
    slide = write_slide(description="a slide")
    with pytest.raises(MissingPixelSizeError):
        removed(slide, tmp_path / "out.svs")
    assert removed(slide, tmp_path / "out.svs", mpp=MPP).emptied > 50


def test_a_turned_slide_is_refused(write_slide: Write, tmp_path: Path) -> None:
    slide = write_slide(tags={274: (3, (3,))})
    with pytest.raises(UnsupportedPixelsError):
        removed(slide, tmp_path / "out.svs")


@pytest.mark.parametrize("wrong", [{"margin_um": -1.0}, {"min_piece_um2": -1.0}])
def test_sizes_below_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError):
        GlassOptions(**wrong)


@given(
    st.integers(0, 3), st.floats(0.3, 9), st.floats(0.3, 9), st.tuples(st.integers(5, 60), st.integers(5, 60))
)
@settings(max_examples=40, deadline=None)
def test_a_pixel_is_kept_if_any_part_of_it_is(
    seed: int, step: float, scale: float, shape: tuple[int, int]
) -> None:
    mask = np.random.default_rng(seed).random((20, 23)) < 0.2
    kept = KeptArea(mask, Placement((0, 0), (step, step)))
    frame = Frame(shape, (16, 16), (scale, scale))
    for index in range(-(-shape[0] // 16) * frame.n_cols):
        top, left = frame.corner(index)
        found = kept.of_tile(frame, index)
        for row, col in np.ndindex(16, 16):
            expected = top + row < shape[0] and left + col < shape[1]
            y, x = (top + row) * scale / step, (left + col) * scale / step
            y, x = min(int(y), 19), min(int(x), 22)
            if expected:
                y1 = max(int(np.ceil((top + row + 1) * scale / step)), y + 1)
                x1 = max(int(np.ceil((left + col + 1) * scale / step)), x + 1)
                expected = bool(mask[y:y1, x:x1].any())
            assert found[row, col] == expected


def test_the_margin_is_at_least_what_was_asked_for() -> None:
    mask = np.zeros((41, 41), bool)
    mask[20, 20] = True
    kept = KeptArea.around(TissueMask(mask, Placement((0, 0), (4.0, 8.0)), "made"), 30.0)
    rows, cols = np.nonzero(kept.mask)
    assert (20 - rows.min()) * 4.0 >= 30
    assert (20 - cols.min()) * 8.0 >= 30


@pytest.mark.parametrize("kind", ["RGB 444", "YCBCR 444", "YCBCR 422", "YCBCR 420", "grey", "white is zero"])
def test_blocks_without_tissue_become_white_and_no_other_pixel_changes(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tile = rng.integers(0, 255, (90, 77, 3), dtype=np.uint8)
    is_grey = " " not in kind or kind == "white is zero"
    grey = np.ascontiguousarray(tile[..., 0])
    data = encoded(grey) if is_grey else encoded(tile, *kind.split())
    kept = np.zeros(tile.shape[:2], bool)
    kept[30:41, 37:50] = True
    path, new = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(data)
    jpeglib.version.set("turbo210")
    image = jpeglib.read_dct(str(path))
    colors = None if is_grey else "RGB" if kind.startswith("RGB") else "YCbCr"
    assert whiten(image, kept, colors, white_is_zero=kind == "white is zero")
    image.write_dct(str(new))
    before, after = imagecodecs.jpeg8_decode(data), imagecodecs.jpeg8_decode(new.read_bytes())
    np.testing.assert_array_equal(before[kept], after[kept])
    far = ~near(kept, 2 + 16 * 2)
    assert (after[far] == (0 if kind == "white is zero" else WHITE)).all()
    assert not whiten(image, np.ones_like(kept), colors, white_is_zero=False)


def test_a_painted_mask_decides_and_nothing_is_looked_for(write_slide: Write, tmp_path: Path) -> None:
    slide, out, picture = write_slide(), tmp_path / "out.svs", tmp_path / "mask.png"
    painted = np.zeros((SIDE // 8, SIDE // 8), np.uint8)
    painted[10:40, 20:60] = 1
    Image.fromarray(painted).save(picture)
    glass = GlassOptions(0.0, fill="empty", mask=picture)
    report = result_of(recompress(slide, out, "optimize", glass=glass, workers=2))
    assert report.tissue == "painted in mask.png"
    with open_slide(slide) as old, open_slide(out) as new:
        kept = RegionPx(10 * 8, 20 * 8, 30 * 8, 40 * 8)
        np.testing.assert_array_equal(old.read_region(0, kept), new.read_region(0, kept))
        assert (new.read_region(0, RegionPx(SIDE // 2, SIDE // 2, TILE, TILE)) == WHITE).all()
    mask = TissueMask.from_array(painted, Placement((0.0, 0.0), (4.0, 4.0)))
    in_memory = GlassOptions(0.0, fill="empty", mask=mask)
    again = result_of(recompress(slide, tmp_path / "again.svs", "optimize", glass=in_memory, workers=2))
    assert (again.after, again.tissue) == (report.after, "edited")


def test_an_empty_mask_is_refused(write_slide: Write, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(tmp_path / "mask.png")
    glass = GlassOptions(mask=tmp_path / "mask.png")
    with pytest.raises(InvalidParameterError, match="nothing would be left"):
        result_of(recompress(write_slide(), tmp_path / "out.svs", "optimize", glass=glass, workers=1))


def test_a_run_knows_by_the_mask_whether_it_may_go_on(tmp_path: Path) -> None:
    picture = tmp_path / "mask.png"
    found = []
    for value in (0, 255):
        Image.fromarray(np.full((5, 5), value, np.uint8)).save(picture)
        found.append(json.dumps(GlassOptions(mask=picture).to_dict()))
        mask = TissueMask(np.full((5, 5), value > 0), Placement((0.0, 0.0), (4.0, 4.0)), "x")
        found.append(json.dumps(GlassOptions(mask=mask).to_dict()))
    found.append(json.dumps(GlassOptions(mask=tmp_path).to_dict()))
    found.append(json.dumps(GlassOptions().to_dict()))
    assert len(set(found)) == len(found)
