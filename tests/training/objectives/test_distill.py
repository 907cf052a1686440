from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_nic.encoders.external import Settings, TimmWeights, import_timm
from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.patches import Tile, TileSet
from napari_nic.training.loop import Sources, run_training
from napari_nic.training.objectives.codes import encode_plain
from napari_nic.training.objectives.distill import (
    DistillObjective,
    local_crops,
    near_view,
    relations_gap,
    similarities,
)
from napari_nic.training.objectives.neighbours import balanced_accuracy, neighbour_labels
from napari_nic.training.publish import draw_plain
from napari_nic.training.teachers import Teacher, View, cut
from napari_nic.training.views import Views

NEAR = View(80.0, 80)


@pytest.fixture
def resnet():
    """A ResNet of timm with random weights that sees 64 px at 0.5 um/px."""
    weights = TimmWeights(random_seed=0)
    import_timm("test_resnet", weights=weights, name="resnet", settings=Settings(input_size=64, mpp=0.5))
    return "resnet"


@pytest.fixture
def split(two_tissues):
    """Unlabelled tiles at 0.5 um/px that are learned from, and others that are not."""

    def make(mpp, size):
        plain = [Tile(tile.image, tile.group) for tile in two_tissues]
        return TileSet(plain[:4], size, mpp=mpp), TileSet(plain[4:], size, mpp=mpp)

    return make


@pytest.fixture
def options(quick):
    def make(*teachers, **changed):
        settled = {"teachers": teachers, "architecture": "nic-64-tiny", "code_size": 16, "batch_size": 16}
        return quick(**(settled | changed))

    return make


def explained(encoder, teacher, sources):
    """Share of a teacher's variance on held-out patches that a linear map of the codes predicts."""
    train, held_out = (draw(source, 192) for source in sources)
    ours = [encode_plain(encoder, patches).numpy() for _, patches in (train, held_out)]
    ours = [np.column_stack([codes, np.ones(len(codes))]) for codes in ours]
    theirs = [
        teacher.encode(cut(images, source.mpp, teacher.view), "cpu")
        for (images, _), source in zip((train, held_out), sources, strict=True)
    ]
    mean, spread = theirs[0].mean(0), theirs[0].std(0) + 1e-6
    theirs = [(codes - mean) / spread for codes in theirs]
    ridge = ours[0].T @ ours[0] + 0.1 * np.eye(ours[0].shape[1])
    weights = np.linalg.solve(ridge, ours[0].T @ theirs[0])
    return 1 - ((theirs[1] - ours[1] @ weights) ** 2).mean() / ((theirs[1] - theirs[1].mean(0)) ** 2).mean()


def draw(source, count):
    """Patches as they are drawn, and the middle 64 px at 1 um/px of them."""
    images = source.draw(count, np.random.default_rng(7)).images
    return images, np.ascontiguousarray(cut(images, source.mpp, NEAR)[:, 8:72, 8:72])


@pytest.mark.parametrize("teacher", ["nic-default", "resnet"])
def test_the_student_is_closer_to_its_teacher_than_an_untrained_one(
    teacher, resnet, split, options, tmp_path
):
    chosen = options(teacher, steps=60, validate_every=0, augmentation="none", learning_rate=3e-3)
    size, mpp = DistillObjective.wanted(chosen)
    sources = split(mpp, size)
    torch.manual_seed(0)
    objective = DistillObjective(chosen, [sources[0]])
    taught = Teacher(teacher)
    before = explained(objective.encoder, taught, sources)
    list(run_training(objective, Sources([sources[0]]), tmp_path, chosen))
    after = explained(objective.encoder, taught, sources)
    assert after > before + 0.1 * (1 - before)


def test_two_teachers_resume_to_the_same_weights(resnet, split, options, tmp_path, same_weights):
    chosen = options("nic-default", resnet, settings={"relations": 1.0, "head_width": 8})
    size, mpp = DistillObjective.wanted(chosen)
    assert (size, mpp) == (160, 0.5)
    source, held_out = split(mpp, size)

    def run(folder, stop=None):
        torch.manual_seed(0)
        objective = DistillObjective(chosen, [source])
        steps = run_training(objective, Sources([source], [held_out]), folder, chosen)
        for report in steps:
            if report.done == stop:
                steps.close()
        return objective

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", stop=5)
    assert same_weights(whole, run(tmp_path / "parts"))
    other = replace(chosen, teachers=("mean-rgb",))
    with pytest.raises(WeightsError, match="teachers"):
        list(run_training(DistillObjective(other, [source]), Sources([source]), tmp_path / "parts", other))


def test_a_teacher_that_was_changed_is_not_gone_on_with(resnet, split, options, tmp_path):
    chosen = options(resnet, steps=1, validate_every=0)
    size, mpp = DistillObjective.wanted(chosen)
    source, _ = split(mpp, size)
    list(run_training(DistillObjective(chosen, [source]), Sources([source]), tmp_path, chosen))
    settings = Settings(input_size=64, mpp=0.5)
    import_timm("test_resnet", weights=TimmWeights(random_seed=1), name=resnet, settings=settings)
    with pytest.raises(WeightsError, match="learned_from"):
        list(run_training(DistillObjective(chosen, [source]), Sources([source]), tmp_path, chosen))


def test_targets_are_standardised_on_patches_of_training(split, options):
    source, _ = split(1.0, 80)
    objective = DistillObjective(options("nic-default"), [source])
    batch = objective.draw([source], 256, np.random.default_rng(1))
    (target,) = objective._targets(batch)
    assert target.shape == (256, 128)
    assert float(target.mean(0).abs().mean()) < 0.15
    assert float(target.std(0).mean()) == pytest.approx(1, abs=0.15)


def test_without_labels_validation_is_the_distance_and_with_them_neighbours(source, split, options):
    plain, _ = split(1.0, 80)
    for given, has_labels in ((plain, False), (source, True)):
        objective = DistillObjective(options("mean-rgb"), [given]).eval()
        batch = objective.draw([given], 32, np.random.default_rng(1))
        views = Views("none", size=64, device="cpu", seed=0)
        with torch.inference_mode():
            loss, terms = objective.loss(batch, views)
        assert float(loss) == pytest.approx(1 - terms["knn"] if has_labels else terms["distance"])
    assert terms["knn"] > 0.9  # pink and green are told apart by any network


def test_every_term_has_its_weight(source, options):
    settings = {"features": 2.0, "relations": 3.0, "local": 0.5, "vicreg": 0.25, "supervision": 4.0}
    objective = DistillObjective(options("mean-rgb", settings=settings), [source])
    batch = objective.draw([source], 16, np.random.default_rng(1))
    loss, terms = objective.loss(batch, Views("light", size=64, device="cpu", seed=0))
    weights = {"distance": 2.0, "relations": 3.0, "local": 0.5, "vicreg": 0.25, "cross_entropy": 4.0}
    assert float(loss.detach()) == pytest.approx(sum(weights[n] * terms[n] for n in weights), rel=1e-5)


def test_plain_patches_are_what_the_encoder_sees_at_its_own_resolution(split, options):
    source, _ = split(0.5, 160)
    objective = DistillObjective(options("nic-default"), [source])
    assert draw_plain(objective, [source], 70, 0).shape == (70, 64, 64, 3)


def test_local_crops_are_twice_as_large_and_lie_in_the_view():
    rows = np.arange(160, dtype=np.uint8)[None, :, None, None]
    images = np.broadcast_to(rows, (40, 160, 160, 3)).copy()
    crops = local_crops(images, 0.5, NEAR, np.random.default_rng(0))
    assert crops.shape == (40, 80, 80, 3)
    first = crops[:, 0, 0, 0].astype(int)
    assert np.array_equal(crops[:, -1, 0, 0] - first, np.full(40, 79))  # 80 of 160 rows
    assert 0 <= first.min() < first.max() <= 80


def test_relations_do_not_ask_for_the_same_axes():
    codes = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    codes -= codes.mean(0)
    turned = codes @ torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))[0]
    assert float(relations_gap(turned + 3, [codes])) < 1e-10
    assert float(relations_gap(turned.flip(0), [codes])) > 0.01
    assert torch.allclose(similarities(codes).diagonal(), torch.ones(16))


def test_neighbours_vote():
    known = torch.tensor([[0.0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]]).repeat(4, 1)
    labels = torch.tensor([0, 0, 0, 1, 1, 1]).repeat(4)
    assert neighbour_labels(known, labels, torch.tensor([[0.5, 0.5], [8.5, 8.5]])).tolist() == [0, 1]
    # Three of four and none of one: classes weigh equally.
    assert balanced_accuracy(torch.tensor([0, 0, 0, 1, 0]), torch.tensor([0, 0, 0, 0, 1])) == 0.375


def test_nobody_to_learn_from(options, split):
    with pytest.raises(InvalidParameterError, match="somebody to learn from"):
        DistillObjective.wanted(options())


def test_the_margin_belongs_to_the_view(options):
    assert near_view(options("mean-rgb")) == NEAR
