"""``napari-nic synthetic``: arguments reach the makers, and the tables are named."""

import cv2
import numpy as np
import pytest

from napari_nic.cli.main import main


def test_a_cohort_of_painted_slides(tmp_path, capsys):
    sizes = [
        "--train",
        "2",
        "--validation",
        "2",
        "--test",
        "2",
        "--sides",
        "4",
        "4",
        "--shares",
        "0.2",
        "0.3",
    ]
    out = str(tmp_path / "cohort")
    assert main(["synthetic", "cohort", "-o", out, "--encoder", "mean-rgb", "--device", "cpu", *sizes]) == 0
    assert capsys.readouterr().out.strip().endswith("cohort.csv")
    assert len(list((tmp_path / "cohort" / "slides").glob("*.nic.zarr"))) == 6


def test_normal_tiles_alone_are_wrong_usage(tmp_path, capsys):
    code = main(
        ["synthetic", "cohort", "-o", str(tmp_path), "--normal", f"{tmp_path}=0.5", "--keep", "slides"]
    )
    assert code == 2
    assert "--tumour as well" in capsys.readouterr().err


def test_regions_name_what_they_left_out(tmp_path, capsys):
    (tmp_path / "masks").mkdir()
    for name in ("a.png", "b.png", "masks/a.png"):
        cv2.imwrite(str(tmp_path / name), np.full((90, 90, 3), 255 * name.startswith("masks"), np.uint8))
    assert main(["synthetic", "regions", f"{tmp_path}=1.0", "-o", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.out.strip().endswith("regions.csv")
    assert f"skipped {tmp_path / 'b.png'}: no mask" in captured.err


@pytest.mark.parametrize("action", ["cohort", "regions"])
def test_help_is_printed(action, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["synthetic", action, "--help"])
    assert "outline" in capsys.readouterr().out
