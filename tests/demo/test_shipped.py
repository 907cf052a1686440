"""The model in the package: it fits the default encoder, and does what its card says."""

from __future__ import annotations

from dataclasses import replace

from napari_nic.annotations import agreement
from napari_nic.demo import DEMO_BUNDLE, cohort_specs, compress_cohort
from napari_nic.demo.card import write_card
from napari_nic.demo.training import INSIDE, LESION
from napari_nic.encoders import DEFAULT_ENCODER, get_spec, load_encoder
from napari_nic.explain import grad_cam
from napari_nic.slide_models import ModelBundle, predict_codes
from napari_nic.synthetic import Lesion


def finish(generator):
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


def test_it_was_trained_on_the_codes_of_the_default_encoder():
    card = ModelBundle.load(DEMO_BUNDLE).card
    identity = get_spec(DEFAULT_ENCODER).identity()
    assert {key: card.encoder[key] for key in identity} == identity


def test_it_is_small_and_its_card_tells_its_results(tmp_path):
    bundle = ModelBundle.load(DEMO_BUNDLE)
    assert sum(file.stat().st_size for file in bundle.folder.iterdir()) < 2e6
    assert bundle.card.metrics["test"]["auc"] >= 0.95
    assert bundle.card.metrics["test"]["localisation"]["Grad-CAM"]["pixel_auc"] >= 0.9
    text = write_card(tmp_path, bundle.card).read_text(encoding="utf-8")
    assert (bundle.folder / "CARD.md").read_text(encoding="utf-8") == text


def test_it_finds_the_lesions_of_new_slides():
    bundle = ModelBundle.load(DEMO_BUNDLE)
    encoder = load_encoder(DEFAULT_ENCODER, device="cpu")
    # Lesions of a quarter of the tissue: small ones are missed now and then, as the card says.
    specs = tuple(
        replace(spec, lesions=(Lesion(0.25),) if spec.lesions else ())
        for spec in cohort_specs(4, seed=77, sides=(20, 20))
    )
    slides = finish(compress_cohort(specs, encoder))
    for slide in slides:
        inside = (slide.lesion >= INSIDE) & slide.mask
        assert inside.any() == bool(slide.label)
        if slide.label:
            saliency = grad_cam(bundle, slide.codes, slide.mask, target=LESION, device="cpu")
            assert agreement(saliency.values, inside, slide.mask).auc > 0.85
    scores = [
        predict_codes(bundle, slide.codes, slide.mask, slide.placement, device="cpu").mean[LESION]
        for slide in slides
    ]
    assert min(scores[1::2]) > max(scores[::2])
