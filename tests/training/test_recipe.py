import numpy as np
import pytest
import torch

from napari_nic.cli.main import build_parser
from napari_nic.encoders import load_encoder
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.patches import TileFolder, TileSet, load_tiles
from napari_nic.training.objectives.metric import _sensitivity
from napari_nic.training.publish import _psnr, reconstruction_quality
from napari_nic.training.recipe import TrainRecipe
from napari_nic.training.sets import GivenSources, TileFolders, Wanted
from napari_nic.training.train import train_encoder


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    """Measure and scale with fewer patches than a real training does."""
    monkeypatch.setattr("napari_nic.training.publish.EVALUATION_PATCHES", 256)
    monkeypatch.setattr("napari_nic.training.objectives.metric.SENSITIVITY_PATCHES", 8)


def recipe_of(folder, options, **changed):
    sets = [TileFolders([TileFolder(folder, 1.0, labelled=True)])]
    return TrainRecipe(
        **({"name": "mine", "method": "vae", "sets": sets, "device": "cpu", "options": options} | changed)
    )


def test_a_trained_encoder_is_found_by_name_with_its_card(tile_folder, quick):
    recipe = recipe_of(
        tile_folder, quick(settings={"decoder_width": 16}), card={"licence": "CC0", "data": "made by code"}
    )
    list(train_encoder(recipe))
    encoder = load_encoder("mine", device="cpu", precision="float32")
    training = encoder.spec.training
    assert encoder.spec.code_size == 12
    assert encoder.spec.licence == "CC0"
    assert training["steps"] == 8
    assert training["sets"][0]["tiles"] == 12
    assert {"psnr_db", "psnr_of_mean_colour_db", "psnr_of_mean_patch_db"} <= set(training)
    card = (recipe.folder / "CARD.md").read_text()
    assert "made by code" in card
    assert "psnr db" in card


@pytest.mark.parametrize("method", ["vae", "contrastive", "supervised"])
def test_codes_come_with_mean_zero_and_spread_one(tile_folder, quick, method):
    settings = {"decoder_width": 16} if method == "vae" else {}
    recipe = recipe_of(tile_folder, quick(settings=settings), method=method)
    list(train_encoder(recipe))
    (loaded,) = [one.load(Wanted(64, 1.0)) for one in recipe.sets]
    patches = loaded.train.draw(500, np.random.default_rng(5)).images
    codes = load_encoder("mine", device="cpu", precision="float32").encode(patches)
    assert np.abs(codes.mean(0)).max() < 0.6
    assert 0.5 < codes.std(0).mean() < 1.5


@pytest.mark.parametrize(("size", "mpp"), [(80, 0.5), (40, 1.0)])
def test_what_to_do_about_wrong_patches_is_said_in_todays_words(tile_folder, capsys, size, mpp):
    source = TileSet(
        load_tiles([TileFolder(tile_folder, mpp)], mpp=mpp, least_side=size).tiles, size, mpp=mpp
    )
    with pytest.raises(InvalidParameterError, match="extract them again with") as wrong:
        GivenSources(source).load(Wanted(80, 1.0))
    _, _, words = str(wrong.value.hint).partition("again with ")
    args = build_parser().parse_args(["patches", "extract", "slide.tif", "--out", "o", *words.split()])
    assert (args.mpp, args.size) == (1.0, 80)
    assert capsys.readouterr().err == ""


def test_going_on_after_the_end_changes_nothing(tile_folder, quick):
    recipe = recipe_of(tile_folder, quick(), method="contrastive")
    list(train_encoder(recipe))
    before = (recipe.folder / "weights.safetensors").read_bytes()
    assert list(train_encoder(recipe)) == []
    assert (recipe.folder / "weights.safetensors").read_bytes() == before


def test_the_appendix_architecture_sees_128_px(tile_folder, quick):
    options = quick(architecture="nic-128", steps=2)
    sets = [TileFolders([TileFolder(tile_folder, 1.0)])]
    list(train_encoder(recipe_of(tile_folder, options, method="vicreg", sets=sets)))
    assert load_encoder("mine", device="cpu").spec.input_size == 128


def test_slides_are_held_out_whole(tile_folder):
    loaded = TileFolders([TileFolder(tile_folder, 1.0)]).load(Wanted(80, 1.0, held_out=0.25))
    assert loaded.held_out is not None
    train, away = ({tile.group for tile in source.tiles} for source in (loaded.train, loaded.held_out))
    assert len(away) == 3
    assert not train & away


def test_patches_of_another_resolution_or_too_small_are_refused(two_tissues):
    coarse = GivenSources(TileSet(two_tissues, 80, mpp=2.0))
    with pytest.raises(InvalidParameterError, match="--target-mpp 1 --size 80"):
        coarse.load(Wanted(80, 1.0))
    with pytest.raises(InvalidParameterError, match="at least 80 px"):
        GivenSources(TileSet(two_tissues, 64, mpp=1.0)).load(Wanted(80, 1.0))


def test_nothing_to_train_on_is_an_error(quick):
    with pytest.raises(InvalidParameterError, match="nothing to train on"):
        list(train_encoder(TrainRecipe("mine", "vae", [], options=quick())))


def test_reconstruction_quality_is_peak_signal_to_noise():
    patches = np.zeros((3, 64, 64, 3), np.uint8)
    patches[:, :32] = 255
    patches[2] = 0
    quality = reconstruction_quality(_Half(), patches)
    # Two of three patches err by 127.5 everywhere, the third by nothing; grey errs by 127.5 in all.
    assert quality["psnr_of_mean_colour_db"] == pytest.approx(6.02 + 1.76, abs=0.01)
    assert quality["psnr_db"] == pytest.approx(6.02, abs=0.05)


class _Half:
    """Stands in for an objective that reconstructs everything as grey."""

    def __init__(self):
        self.encoder = torch.nn.Module()
        self.encoder.code = torch.nn.Linear(1, 1)

    def reconstruct(self, x):
        return x * 0


def test_a_single_held_out_patch_has_a_quality_too():
    """It is its own mean: the error is nothing, and nothing is divided by it."""
    assert _psnr(0.0) == pytest.approx(88.1, abs=0.1)


class _CancelledAfter(CancellationToken):
    """Cancelled at a checkpoint."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def checkpoint(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.cancel()
        super().checkpoint()


def test_measuring_what_codes_know_can_be_cancelled_at_each_batch():
    patches = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 3)).astype(np.uint8)
    assert reconstruction_quality(_Half(), patches, token=_CancelledAfter(3))
    with pytest.raises(CancelledError):
        reconstruction_quality(_Half(), patches, token=_CancelledAfter(2))


def test_weighing_codes_by_what_they_paint_can_be_cancelled_at_each_code():
    decoder, codes = torch.nn.Linear(2, 6), torch.zeros(5, 2)
    _sensitivity(decoder, codes, _CancelledAfter(5))
    with pytest.raises(CancelledError):
        _sensitivity(decoder, codes, _CancelledAfter(4))
