import numpy as np
import pytest
import torch

from napari_nic.errors import InvalidParameterError
from napari_nic.patches import Tile, TileSet
from napari_nic.training.loop import Sources, run_training
from napari_nic.training.objectives import OBJECTIVES


def test_two_tissues_are_told_apart_on_slides_not_seen(two_tissues, quick, tmp_path):
    train, held_out = TileSet(two_tissues[:4], 80, mpp=1.0), TileSet(two_tissues[4:], 80, mpp=1.0)
    options = quick(steps=60, validate_every=20, batch_size=16)
    torch.manual_seed(0)
    objective = OBJECTIVES.get("supervised")(options, [train])
    reports = list(run_training(objective, Sources([train], [held_out]), tmp_path, options))
    assert reports[-1].validation["accuracy"] > 0.9


def test_multitask_gives_each_set_a_head_and_draws_evenly(source, two_tissues, quick):
    mask = np.zeros((200, 200), bool)
    mask[:, :120] = True
    outlined = TileSet([Tile(two_tissues[0].image, "a", mask=mask)], 80, mpp=1.0)
    objective = OBJECTIVES.get("multitask")(quick(), [source, outlined])
    batch = objective.draw([source, outlined], 32, np.random.default_rng(0))
    assert [len(part.images) for part in batch] == [16, 16]
    assert [head[-1].out_features for head in objective.heads] == [2, 2]


def test_sets_without_labels_take_part_only_in_self_supervision(source, two_tissues, quick):
    plain = TileSet([Tile(tile.image, tile.group) for tile in two_tissues], 80, mpp=1.0)
    with pytest.raises(InvalidParameterError, match="needs labels"):
        OBJECTIVES.get("multitask")(quick(), [source, plain])
    with pytest.raises(InvalidParameterError, match="needs labels"):
        OBJECTIVES.get("multitask")(quick(settings={"self_supervision": 1.0}), [plain])
    OBJECTIVES.get("multitask")(quick(settings={"self_supervision": 1.0}), [source, plain])


def test_supervised_takes_one_set(source, quick):
    with pytest.raises(InvalidParameterError, match="takes one labelled set"):
        OBJECTIVES.get("supervised")(quick(), [source, source])
