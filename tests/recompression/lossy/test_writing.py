"""Lossy results: every container and codec shows the slide where it was, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from PIL import ImageCms

from napari_nic.errors import (
    CancelledError,
    ChannelsError,
    DamagedSlideError,
    InvalidParameterError,
    MissingDependencyError,
    StoreError,
)
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.recompression import GlassOptions
from napari_nic.recompression.lossy import (
    CONTAINERS,
    PIXEL_CODECS,
    LossyOptions,
    LossyReport,
    Verdict,
    WrittenTile,
    recompress_lossy,
)
from napari_nic.slides import open_slide

SUFFIXES = {"tiff": ".tif", "svs": ".svs", "ome-tiff": ".ome.tif", "ome-zarr": ".ome.zarr"}
GLASS = GlassOptions(margin_um=10, fill="empty")


def written(slide: Path, folder: Path, **options: object) -> tuple[Path, LossyReport]:
    chosen = LossyOptions(**{"codec": "jpeg", **options})  # type: ignore[arg-type] # by name
    out = folder / f"result{SUFFIXES[chosen.container]}"
    return out, result_of(recompress_lossy(slide, out, chosen, workers=1))


def digest(path: Path) -> str:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def pixels_of(path: Path, level: int = 0) -> np.ndarray:
    with open_slide(path, color="raw") as slide:
        return slide.read_region(level, slide.levels[level].region)


def shift(before: np.ndarray, after: np.ndarray) -> float:
    """Return by how many pixels a picture lies beside another one."""
    one, other = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) for pixels in (before, after))
    (x, y), _ = cv2.phaseCorrelate(one, other, cv2.createHanningWindow(one.shape[::-1], cv2.CV_32F))
    return float(np.hypot(x, y))


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("container", CONTAINERS.names())
@pytest.mark.parametrize("codec", [*PIXEL_CODECS.names(), "neural"])
def test_every_point_lies_where_it_was(
    plain_slide: Path, tmp_path: Path, container: str, codec: str, request: pytest.FixtureRequest
) -> None:
    if codec == "neural":
        codec = f"neural:{request.getfixturevalue('learned_folder')}"
    out, report = written(plain_slide, tmp_path, container=container, codec=codec, glass=GLASS)
    before, after = pixels_of(plain_slide), pixels_of(out)
    assert after.shape == before.shape
    inside = np.s_[200:600, 220:600]
    assert shift(before[inside], after[inside]) < 0.1
    tissue = np.any(before != 244, axis=2)
    assert np.abs(after[tissue].astype(float) - before[tissue]).mean() < 6
    assert np.abs(after[tissue].mean(0) - before[tissue].mean(0)).max() < 1
    assert (after[:100, -200:] == 255).all(), "glass is white, whatever stands for it"
    with open_slide(plain_slide) as source, open_slide(out) as slide:
        assert slide.levels[0].shape == source.levels[0].shape
        assert slide.pixel_size is not None
        assert slide.pixel_size.x == pytest.approx(0.5)
        assert slide.levels == slide.levels[:1] or slide.levels[1].shape == (400, 500)
    assert report.levels[0].glass > 3
    assert names(tmp_path) == [out.name]


@pytest.mark.parametrize(
    ("container", "codec"), [("tiff", "jpeg"), ("svs", "jpeg"), ("svs", "jpeg2000"), ("ome-tiff", "jpeg")]
)
@pytest.mark.parametrize("fill", ["keep", "white", "empty"])
def test_openslide_shows_the_same_frame(
    plain_slide: Path, tmp_path: Path, container: str, codec: str, fill: str
) -> None:
    """With tiles left out OpenSlide would name bounds, and programs would count from their corner."""
    glass = None if fill == "keep" else GlassOptions(margin_um=10, fill=fill)  # type: ignore[arg-type]
    out, _ = written(plain_slide, tmp_path, container=container, codec=codec, glass=glass)
    with openslide.OpenSlide(str(out)) as slide:
        assert slide.dimensions == (1000, 800)
        assert not [key for key in slide.properties if "bounds" in key]
        shown = np.asarray(slide.read_region((220, 200), 0, (380, 400)))[..., :3]
        assert float(slide.properties[openslide.PROPERTY_NAME_MPP_X]) == pytest.approx(0.5, abs=1e-4)
    meant = pixels_of(out)[200:600, 220:600]
    assert np.abs(shown.astype(int) - meant).max() <= 1


def test_the_ends_of_a_level_are_always_stored(plain_slide: Path, tmp_path: Path) -> None:
    out, _ = written(plain_slide, tmp_path, glass=GLASS)
    with tifffile.TiffFile(out) as tif:
        sizes = tif.pages[0].databytecounts
        assert sizes[0]
        assert sizes[-1]
        assert 0 in sizes


def test_glass_of_one_colour_is_stored_once(plain_slide: Path, tmp_path: Path) -> None:
    out, report = written(plain_slide, tmp_path, glass=GlassOptions(margin_um=10, fill="white"))
    with tifffile.TiffFile(out) as tif:
        offsets = tif.pages[0].dataoffsets
        assert 0 not in tif.pages[0].databytecounts
    assert len(offsets) - len(set(offsets)) == report.levels[0].glass - 1
    assert report.tissue


def test_label_macro_and_thumbnail_come_along(aperio: Path, tmp_path: Path) -> None:
    with open_slide(aperio) as source:
        before = {name: source.read_associated(name) for name in source.associated_images}
    assert set(before) == {"thumbnail", "label", "macro"}
    for container in CONTAINERS:
        out, _ = written(aperio, tmp_path, container=container)
        with open_slide(out) as slide:
            assert set(slide.associated_images) == set(before)
            for name, pixels in before.items():
                found = slide.read_associated(name).astype(int)
                assert np.abs(found - pixels).mean() < (0.1 if name == "label" else 3)
            assert slide.pixel_size is not None
            assert slide.pixel_size.x == pytest.approx(0.499, abs=1e-4)


def test_an_aperio_file_keeps_its_fields(aperio: Path, tmp_path: Path) -> None:
    out, _ = written(aperio, tmp_path, container="svs", codec="jpeg2000")
    with openslide.OpenSlide(str(out)) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.properties["aperio.AppMag"] == "20"
        assert float(slide.properties["aperio.MPP"]) == 0.499
        assert set(slide.associated_images) == {"thumbnail", "label", "macro"}


@pytest.mark.parametrize("container", CONTAINERS.names())
def test_the_profile_is_kept_and_not_applied(tmp_path: Path, container: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    tile = np.full((256, 256, 3), (200, 90, 150), np.uint8)
    slide = tmp_path / "a.tif"
    tifffile.imwrite(
        slide, tile, tile=(128, 128), photometric="rgb", extratags=[(34675, 7, len(profile), profile)]
    )
    (tmp_path / "out").mkdir()
    out, _ = written(slide, tmp_path / "out", container=container)
    with open_slide(out, color="raw") as opened:
        assert opened.icc_profile == profile
        assert np.abs(opened.read_tile(0, 0, 0).astype(int) - (200, 90, 150)).max() <= 3


# -- interrupted -------------------------------------------------------------------------------------------


def interrupted(slide: Path, out: Path, options: LossyOptions, after: int) -> None:
    token = CancellationToken()
    with pytest.raises(CancelledError):  # noqa: PT012 - which report comes last is not known
        for report in recompress_lossy(slide, out, options, workers=1, token=token):
            if report.stage.startswith("encoding") and report.done >= after:
                token.cancel()


@pytest.mark.parametrize("container", ["tiff", "ome-zarr"])
def test_an_interrupted_run_goes_on_where_it_stopped(
    plain_slide: Path, tmp_path: Path, container: str
) -> None:
    options = LossyOptions(codec="jpeg", container=container, glass=GLASS)
    whole = tmp_path / "whole"
    whole.mkdir()
    meant, _ = written(plain_slide, whole, container=container, glass=GLASS)
    out = tmp_path / meant.name
    interrupted(plain_slide, out, options, 7)
    assert names(tmp_path) == [f".{out.name}.unfinished", "whole"]
    report = result_of(recompress_lossy(plain_slide, out, options, workers=1))
    assert report.resumed == 7
    assert digest(out) == digest(meant)
    assert names(tmp_path) == [out.name, "whole"]


def test_what_was_damaged_meanwhile_is_made_anew(plain_slide: Path, tmp_path: Path) -> None:
    options = LossyOptions(codec="jpeg")
    (tmp_path / "whole").mkdir()
    meant, _ = written(plain_slide, tmp_path / "whole")
    out = tmp_path / meant.name
    interrupted(plain_slide, out, options, 9)
    partial = tmp_path / f".{out.name}.unfinished" / out.name
    content = bytearray(partial.read_bytes())
    content[len(content) // 2] ^= 1
    partial.write_bytes(content)
    report = result_of(recompress_lossy(plain_slide, out, options, workers=1))
    assert 0 < report.resumed < 9
    assert digest(out) == digest(meant)


def test_other_settings_begin_anew(plain_slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.tif"
    interrupted(plain_slide, out, LossyOptions(codec="jpeg", quality=50), 7)
    report = result_of(recompress_lossy(plain_slide, out, LossyOptions(codec="jpeg"), workers=1))
    assert report.resumed == 0


def test_a_slide_that_changes_meanwhile_is_refused(plain_slide: Path, tmp_path: Path) -> None:
    slide = tmp_path / "a.tif"
    slide.write_bytes(plain_slide.read_bytes())
    with pytest.raises(DamagedSlideError):  # noqa: PT012 - in the midst of it
        for report in recompress_lossy(slide, tmp_path / "b.tif", LossyOptions(codec="jpeg"), workers=1):
            if report.done == 3:
                os.utime(slide, ns=(0, 0))
    assert "b.tif" not in names(tmp_path)


def test_bytes_that_change_on_the_disk_are_found(plain_slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tif"
    with pytest.raises(StoreError, match="read again"):  # noqa: PT012 - in the midst of it
        for report in recompress_lossy(plain_slide, out, LossyOptions(codec="jpeg"), workers=1):
            if report.stage.startswith("encoding") and report.done == report.total:
                partial = tmp_path / f".{out.name}.unfinished" / out.name
                content = bytearray(partial.read_bytes())
                content[1000] ^= 1
                partial.write_bytes(content)
    assert names(tmp_path) == []


# -- checks ------------------------------------------------------------------------------------------------


def test_a_tile_that_does_not_pass_is_encoded_better(plain_slide: Path, tmp_path: Path) -> None:
    seen: list[WrittenTile] = []

    def check(tile: WrittenTile) -> Verdict:
        seen.append(tile)
        is_first = (tile.level, tile.row, tile.col) == (0, 1, 1)
        return Verdict(not is_first or tile.attempt > 1, "seems poor")

    out = tmp_path / "a.tif"
    report = result_of(recompress_lossy(plain_slide, out, LossyOptions(), check=check, workers=2))
    assert report.better == {"seems poor": 1}
    tries = [tile for tile in seen if (tile.level, tile.row, tile.col) == (0, 1, 1)]
    assert [tile.attempt for tile in tries] == [0, 1, 2]
    assert len(tries[0].data) < len(tries[1].data) < len(tries[2].data)
    source = pixels_of(plain_slide)[256:512, 256:512]
    assert np.array_equal(tries[0].pixels, source)
    errors = [np.abs(tile.decoded.astype(int) - source).mean() for tile in tries]
    assert errors == sorted(errors, reverse=True)
    assert np.array_equal(pixels_of(out)[256:512, 256:512], tries[2].decoded)


def test_a_codec_that_cannot_pass_says_so(plain_slide: Path, tmp_path: Path) -> None:
    options = LossyOptions(codec="jpeg", subsampling="4:2:0", must_pass=True)
    with pytest.raises(StoreError, match="as good as was asked") as caught:
        result_of(
            recompress_lossy(
                plain_slide, tmp_path / "a.tif", options, check=lambda _: Verdict(False, "hue"), workers=1
            )
        )
    assert "4:4:4" in caught.value.hint
    assert names(tmp_path) == []


def test_else_its_best_is_kept_and_counted(plain_slide: Path, tmp_path: Path) -> None:
    def check(tile: WrittenTile) -> Verdict:
        return Verdict((tile.level, tile.row, tile.col) != (0, 1, 1), "hue")

    out, options = tmp_path / "a.tif", LossyOptions(codec="jpeg")
    report = result_of(recompress_lossy(plain_slide, out, options, check=check, workers=1))
    assert report.failed == 1
    assert report.levels[0].failed == {"hue": 1}
    assert report.better == {}
    source = pixels_of(plain_slide)[256:512, 256:512].astype(int)
    assert np.abs(pixels_of(out)[256:512, 256:512] - source).mean() < 1


# -- replacing and names -----------------------------------------------------------------------------------


def test_the_slide_gives_way_to_a_smaller_result_only(plain_slide: Path, tmp_path: Path) -> None:
    slide = tmp_path / "a.tif"
    slide.write_bytes(plain_slide.read_bytes())
    small = result_of(recompress_lossy(slide, slide, LossyOptions(codec="jpegxl"), workers=1))
    assert small.after == slide.stat().st_size < small.before
    before = slide.read_bytes()
    again = result_of(recompress_lossy(slide, slide, LossyOptions(codec="jpeg", quality=100), workers=1))
    assert "not be smaller" in again.kept
    assert slide.read_bytes() == before
    assert names(tmp_path) == ["a.tif"]


def test_names_that_programs_would_not_know_are_refused(plain_slide: Path, tmp_path: Path) -> None:
    for container, name in (("ome-tiff", "a.tif"), ("svs", "a.ome.zarr"), ("ome-zarr", "a.tif")):
        with pytest.raises(InvalidParameterError, match="by its name"):
            result_of(recompress_lossy(plain_slide, tmp_path / name, LossyOptions(container=container)))
    with pytest.raises(MissingDependencyError, match="DICOM"):
        result_of(recompress_lossy(plain_slide, tmp_path / "a.dcm", LossyOptions(container="dicom")))
    assert names(tmp_path) == []


def test_channels_are_not_mixed(tmp_path: Path) -> None:
    slide = tmp_path / "a.ome.tif"
    stack = np.zeros((3, 300, 300), np.uint16)
    tifffile.imwrite(slide, stack, tile=(128, 128), photometric="minisblack", metadata={"axes": "CYX"})
    with pytest.raises(ChannelsError):
        result_of(recompress_lossy(slide, tmp_path / "b.tif", LossyOptions()))


# -- real slides -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS.names())
@pytest.mark.parametrize("place", ["slides/CMU-1-Small-Region.svs", "slides/CMU-1-Small-Region-dicom"])
def test_a_real_slide(data_dir: Path, tmp_path: Path, container: str, place: str) -> None:
    slide = data_dir / place
    out, report = written(slide, tmp_path, container=container)
    region = RegionPx(700, 900, 512, 512)
    with open_slide(slide, color="raw") as source, open_slide(out, color="raw") as result:
        before, after = source.read_region(0, region), result.read_region(0, region)
        assert result.levels[0].shape == source.levels[0].shape
        assert set(result.associated_images) == set(source.associated_images)
        assert result.icc_profile == source.icc_profile
        assert len(result.levels) == 3
    assert shift(before, after) < 0.05
    assert np.abs(before.astype(float) - after).mean() < 4
    assert report.tiles == 177
