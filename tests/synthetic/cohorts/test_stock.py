"""Windows are wholly of one kind, and patients serve one part only."""

import cv2
import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.patches.tiles import TileFolder
from napari_nic.synthetic.cohorts import TissueFolders
from napari_nic.synthetic.cohorts.stock import load_stock, split_stock


def test_windows_lie_inside_or_outside_of_the_outline(stock):
    for picture in stock.pictures:
        half = picture.image.shape[1] // 2
        # At least 0.9 of a window of tumour, at most 0.02 of one of normal tissue, is tumour.
        assert (picture.tumour[:, 1] + stock.window <= half + 0.1 * stock.window + 1).all()
        assert (picture.normal[:, 1] >= half - 0.02 * stock.window - 1).all()
        assert len(picture.tumour)
        assert len(picture.normal)


def test_a_tile_without_outline_is_left_out_and_told(stock):
    assert [why for _, why in stock.skipped] == ["no outline of its tumour"]
    assert len(stock.pictures) == 6


def test_every_patient_is_in_one_part_and_every_part_can_be_composed(stock):
    parts = split_stock(stock, seed=3)
    groups = [{picture.group for picture in part.pictures} for part in parts.values()]
    assert sum(len(one) for one in groups) == len(set.union(*groups)) == 6
    assert all(part.sources == ("outlined",) for part in parts.values())


def test_too_few_patients_are_refused(tissue_folders, tumour_folder):
    one = TissueFolders((TileFolder(tumour_folder.path, 0.5, group="a"),))
    with pytest.raises(InvalidParameterError, match="too few slides or patients"):
        split_stock(load_stock(one, mpp=0.5), seed=0)


def test_normal_tiles_join_normal_tissue_of_every_source(tmp_path, tumour_folder, tissue_folders):
    cv2.imwrite(str(tmp_path / "n.png"), np.full((200, 200, 3), 180, np.uint8))
    both = TissueFolders(tissue_folders.tumour, (TileFolder(tmp_path, 0.5),))
    stock = load_stock(both, mpp=0.5)
    assert stock.sources == ("outlined",)
    sources = {picture.source for picture in stock.pictures_of("outlined", tumour=False)}
    assert sources == {"outlined", tmp_path.name}
    assert {picture.source for picture in stock.pictures_of("outlined", tumour=True)} == {"outlined"}


def test_glass_is_no_tissue(tmp_path):
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), np.full((300, 300, 3), 250, np.uint8))
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), np.zeros((300, 300), np.uint8))
    with pytest.raises(InvalidParameterError, match="both tumour and normal tissue"):
        load_stock(TissueFolders((TileFolder(tmp_path, 0.5),)), mpp=0.5)
