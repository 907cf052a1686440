"""The whole way from folders of tiles to an encoder that is ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.encoders.device import choose_device, choose_precision
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import user_encoders_folder
from napari_nic.jobs import CancellationToken
from napari_nic.patches import TileFolder, TileSet, load_tiles
from napari_nic.training.vae import TrainingProgress, VaeOptions, load_vae, train_vae, training_effort

INPUT_SIZE, INPUT_MPP = 64, 1.0
"""The network sees 64 px at 1 um/px: patches of 128 px at 0.5 um/px, averaged 2 x 2."""

HELD_OUT_PATCHES = 4096
HELD_OUT_EVERY = 10


@dataclass(frozen=True)
class VaeRecipe:
    """What to train on and what to call the result.

    Attributes
    ----------
    name : str
        Of the encoder.
    folders : sequence of TileFolder
    out : Path, optional
        Folder of the encoder; the user's encoders folder by default.
    data_note, licence : str
        For the card: what the tiles are, and the licence of the weights.
    """

    name: str
    folders: Sequence[TileFolder]
    out: Path | None = None
    data_note: str = ""
    licence: str = "unspecified"
    device: str = "auto"
    options: VaeOptions = field(default_factory=VaeOptions)

    @property
    def folder(self) -> Path:
        """Where the encoder, and while it is trained its checkpoint, is written."""
        return self.out or user_encoders_folder() / self.name

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints lie, beside the encoder."""
        return self.folder.with_name(f"{self.folder.name}.training")


def train_encoder(recipe: VaeRecipe, *, token: CancellationToken | None = None) -> Iterator[TrainingProgress]:
    """Load tiles, train the VAE (going on from a checkpoint), weigh its codes and save the encoder.

    Every tenth tile is held out; the card's reconstruction error is measured on patches of those.

    Yields
    ------
    TrainingProgress

    Raises
    ------
    InvalidParameterError
        If no tile can be used.
    CancelledError
        The checkpoint is kept; run again to go on.
    """
    from napari_nic.training.publish import save_encoder, weigh_codes

    tiles = load_tiles(recipe.folders, mpp=INPUT_MPP, least_side=INPUT_SIZE)
    kept = [tile for index, tile in enumerate(tiles.tiles) if index % HELD_OUT_EVERY]
    held_out = TileSet(tiles.tiles[::HELD_OUT_EVERY], INPUT_SIZE, mpp=INPUT_MPP)
    device = choose_device(recipe.device)
    precision = choose_precision("auto", device)
    source = TileSet(kept or tiles.tiles, INPUT_SIZE, mpp=INPUT_MPP)
    yield from train_vae(
        source, recipe.checkpoint, recipe.options, device=device, precision=precision, token=token
    )
    steps, minutes = training_effort(recipe.checkpoint)
    vae = load_vae(recipe.checkpoint)
    evaluation = held_out.draw(HELD_OUT_PATCHES, np.random.default_rng(1)).images
    measured = reconstruction_quality(vae, evaluation)
    weigh_codes(vae, source.draw(HELD_OUT_PATCHES, np.random.default_rng(2)).images)
    training = {
        "method": "VAE",
        "tiles": len(tiles.tiles),
        "tiles_skipped": len(tiles.skipped),
        "folders": {folder.path.name: folder.mpp for folder in recipe.folders},
        "steps": steps,
        "batch_size": recipe.options.batch_size,
        "minutes": minutes,
        "device": device,
        "precision": precision,
    } | measured
    spec = EncoderSpec(
        name=recipe.name,
        code_size=recipe.options.code_size,
        patch_size=128,
        mpp=0.5,
        input_size=INPUT_SIZE,
        architecture="nic-64",
        licence=recipe.licence,
        summary="Variational autoencoder, the published NIC network; code distance is visible difference.",
        citation="Tellez et al., Neural Image Compression for Gigapixel Histopathology, TPAMI 2019",
    )
    save_encoder(vae.encoder, spec, recipe.folder, card=_card(recipe, spec, training), training=training)


def reconstruction_quality(vae: Any, patches: np.ndarray) -> dict[str, float]:
    """Peak signal-to-noise ratio of reconstructions, and of each patch's mean colour, in dB.

    Parameters
    ----------
    vae : Vae
    patches : ndarray of uint8, (n, 64, 64, 3)
    """
    import torch

    errors, plain = [], []
    with torch.inference_mode():
        for start in range(0, len(patches), 256):
            x = torch.from_numpy(patches[start : start + 256]).permute(0, 3, 1, 2).float() / 127.5 - 1
            code = vae.encoder(x)
            errors.append(((vae.decoder(code) - x) ** 2).mean((1, 2, 3)))
            plain.append(((x.mean((2, 3), keepdim=True) - x) ** 2).mean((1, 2, 3)))
    return {
        "held_out_psnr_db": _psnr(float(torch.cat(errors).mean())),
        "held_out_psnr_of_mean_colour_db": _psnr(float(torch.cat(plain).mean())),
    }


def _psnr(error: float) -> float:
    """PSNR for values in [-1, 1], whose peak-to-peak is 2."""
    return round(10 * float(np.log10(4 / error)), 2)


def _card(recipe: VaeRecipe, spec: EncoderSpec, training: dict[str, Any]) -> str:
    facts = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in training.items())
    return f"""# {spec.name}

{spec.summary}
C = {spec.code_size}, patches of {spec.patch_size} px at {spec.mpp} um/px, averaged to {spec.input_size} px.

Licence of the weights: {spec.licence}

## Data
{recipe.data_note or "Not stated."}

## Training and result
{facts}

PSNR is measured on patches of every tenth tile, which training never saw.

## Limits
A reconstruction objective keeps colour and coarse texture first; it is not trained to tell diagnoses apart.
Research use only; not for diagnosis. Method: {spec.citation}.
"""
