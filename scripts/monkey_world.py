"""What the monkey plays with: slides, annotations, a cohort, a model and tiles, all made by code."""

from __future__ import annotations

from pathlib import Path


class World:
    """Small slides, annotations, a cohort, a model and tiles, all made by code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slides = [self._slide(seed) for seed in range(3)]
        self.unscaled = self._unscaled()
        self.broken = folder / "slides" / "broken.tif"
        self.broken.write_bytes(self.slides[0].read_bytes()[:20_000])
        self.outlines = [slide.with_suffix(".geojson") for slide in self.slides]
        self.cohort = folder / "slides" / "cohort.csv"
        names = [*(slide.name for slide in self.slides), "gone.tif"]
        self.cohort.write_text("slide,label\n" + "".join(f"{name},a\n" for name in names[:-1]), "utf-8")
        self.model = self._model()
        self.tiles = self._tiles()

    def _slide(self, seed: int) -> Path:
        from napari_nic.synthetic import Lesion, SyntheticSlideSpec, write_slide

        spec = SyntheticSlideSpec(height=900, width=1200 + 100 * seed, seed=seed, lesions=(Lesion(0.12),))
        path = self.folder / "slides" / f"slide-{seed}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_slide(path, spec).path

    def _unscaled(self) -> Path:
        import numpy as np
        import tifffile

        path = self.folder / "slides" / "unscaled.tif"
        picture = np.full((400, 500, 3), (200, 120, 180), np.uint8)
        tifffile.imwrite(path, picture, tile=(256, 256), photometric="rgb")
        return path

    def _model(self) -> Path:
        import numpy as np
        import torch

        from napari_nic.encoders import get_spec
        from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
        from napari_nic.slide_models.network import SlideNet

        torch.manual_seed(3)
        config = SlideNetConfig.compact(3, 1, crop_size=16, width=8)
        weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
        card = ModelCard(
            name="made-model",
            task="classification",
            class_names=("normal", "lesion"),
            encoder=get_spec("mean-rgb").to_dict(),
            network=config,
            not_for="anything",
        )
        spread = Standardiser(np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32))
        return ModelBundle(card, weights, spread).save(self.folder / "made-model")

    def _tiles(self) -> Path:
        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(0)
        for index in range(8):
            folder = self.folder / "tiles" / "ab"[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(90, 200, (160, 160, 3), np.uint8)).save(folder / f"{index}.png")
        return self.folder / "tiles"
