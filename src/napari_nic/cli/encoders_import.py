"""``napari-nic encoders import``: others' networks and weights as encoders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.names import KERAS_SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from napari_nic.encoders import EncoderSpec
    from napari_nic.encoders.external import GivePatches, ProjectionRequest, Settings, TimmWeights
    from napari_nic.patches import TileFolder

LEAST_PATCHES = 1024

DESCRIPTION = """\
Make an encoder, to be used by name, of

  timm:MODEL        a network of timm, for instance timm:resnet18 or timm:hf-hub:owner/name; say where its
                    weights come from: nothing is downloaded unless you ask
  FILE.pt .pt2      TorchScript or torch.export: programs, opened only with --trust
  FILE.onnx         an ONNX graph
  FILE.h5           a Keras file of Tellez et al.
  FOLDER            an encoder folder (encoder.json with its weights); --trust, if they are a program

What a file does not say is read from a JSON file of its name beside it (WSInfer's config.json is understood),
or given by the options below, which win."""


def add_import(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "import",
        run_import,
        "Import others' networks",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="timm:MODEL, a file, or a folder")
    parser.add_argument("--out", metavar="NAME", help="name from now on; default for timm: timm:MODEL")
    arguments.add_trust(parser)
    _add_weights(parser)
    _add_settings(parser)
    _add_projection(parser)
    arguments.add_json(parser)


def _add_weights(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("weights of a timm model").add_mutually_exclusive_group()
    group.add_argument(
        "--weights", metavar="FILE", type=Path, help="safetensors, or a PyTorch file of tensors"
    )
    group.add_argument("--allow-download", action="store_true", help="get them over the network, once")
    group.add_argument("--random-weights", metavar="SEED", type=arguments.natural, help="none: a baseline")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the network wants")
    group.add_argument(
        "--sidecar", metavar="FILE", type=Path, help="JSON description; default: beside the file"
    )
    arguments.add_data(group, mpp="um per pixel; timm: 0.5")
    group.add_argument(
        "--patch-size", metavar="PX", type=arguments.positive_int, help="of patches; default: --input-size"
    )
    group.add_argument(
        "--input-size",
        metavar="PX",
        type=arguments.positive_int,
        help="of the input; patches are averaged to it",
    )
    group.add_argument(
        "--normalise",
        choices=("imagenet", "symmetric", "unit"),
        help="pixels: ImageNet's mean and spread (default), [-1, 1], or [0, 1]",
    )
    group.add_argument(
        "--pooling",
        choices=("auto", "cls", "mean", "cls+mean"),
        help="of tokens; auto (default): as the network does",
    )
    group.add_argument("--licence", metavar="TEXT", help="for its model card")
    group.add_argument("--summary", metavar="TEXT", help="for its model card")


def _add_projection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("projection", "shorter codes: a linear map behind the network")
    group.add_argument(
        "--project", metavar="HOW:C", type=projection, help="pca:128 (needs --tiles) or random:128"
    )
    arguments.add_data(
        group, tiles="picture tiles that a PCA is fitted on, and their um per pixel; may be repeated"
    )
    group.add_argument(
        "--project-patches",
        type=arguments.positive_int,
        metavar="N",
        help=f"patches that a PCA is fitted on; default: 8 a number of the code, at least {LEAST_PATCHES}",
    )
    arguments.add_data(group, seed="of the random numbers of projection and patches; default: 0")
    group.set_defaults(seed=0)


def projection(text: str) -> tuple[str, int]:
    """Parse ``HOW:C``."""
    method, _, size = text.partition(":")
    if method not in ("pca", "random") or not size.isdecimal() or int(size) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected pca:C or random:C, for instance pca:128")
    return method, int(size)


def run_import(args: argparse.Namespace, console: Console) -> int:
    """Import a network under a name."""
    spec = _import(args, console)
    if args.json:
        console.json(spec.to_dict())
    console.result(f"{spec.name}: C = {spec.code_size}, use it with --encoder {spec.name}")
    return 0


def _import(args: argparse.Namespace, console: Console) -> EncoderSpec:
    from napari_nic.encoders.store import TIMM_PREFIX

    if args.source.startswith(TIMM_PREFIX):
        return _import_timm(args, console)
    if args.weights or args.allow_download or args.random_weights is not None:
        raise arguments.UsageError(
            "only a timm model's weights come from somewhere else", expected="timm:MODEL", found=args.source
        )
    if args.out is None:
        raise arguments.UsageError("the encoder needs a name", hint="--out NAME")
    return _import_path(Path(args.source), args, console)


def _import_timm(args: argparse.Namespace, console: Console) -> EncoderSpec:
    from napari_nic.encoders.external import import_timm
    from napari_nic.encoders.external.notices import terms_at_first_use
    from napari_nic.encoders.external.timm_models import announce

    weights = _weights(args)
    if weights.random_seed is None:
        console.warning(f"note: {announce(args.source, weights)}")
    spec = import_timm(
        args.source, weights=weights, name=args.out, settings=_settings(args), projection=_projection(args)
    )
    terms_at_first_use(spec)  # told above
    return spec


def _import_path(path: Path, args: argparse.Namespace, console: Console) -> EncoderSpec:
    from napari_nic.encoders import import_keras
    from napari_nic.encoders.external import import_encoder, import_model_file
    from napari_nic.encoders.external.notices import terms_at_first_use

    if path.suffix.lower() in KERAS_SUFFIXES:
        return import_keras(path, name=args.out)
    settings, wanted = _settings(args), _projection(args)
    if path.is_dir() or path.suffix == ".safetensors":
        spec = import_encoder(path, name=args.out, settings=settings, projection=wanted, trust=args.trust)
    else:
        spec = import_model_file(
            path,
            name=args.out,
            settings=settings,
            sidecar=args.sidecar,
            projection=wanted,
            trust=args.trust,
        )
    told = terms_at_first_use(spec)
    if told:
        console.warning(f"note: {told}")
    else:
        console.note(f"note: {spec.summary}")
    return spec


def _weights(args: argparse.Namespace) -> TimmWeights:
    from napari_nic.encoders.external import TimmWeights

    return TimmWeights(file=args.weights, random_seed=args.random_weights, allow_download=args.allow_download)


def _settings(args: argparse.Namespace) -> Settings:
    from napari_nic.encoders.external import NORMALISATIONS, Settings

    mean, std = NORMALISATIONS[args.normalise] if args.normalise else (None, None)
    return Settings(
        mpp=args.mpp,
        patch_size=args.patch_size,
        input_size=args.input_size,
        mean=mean,
        std=std,
        pooling=args.pooling,
        licence=args.licence,
        summary=args.summary,
    )


def _projection(args: argparse.Namespace) -> ProjectionRequest | None:
    from napari_nic.encoders.external import PCA_PATCHES, ProjectionRequest

    if args.project is None:
        return None
    method, size = args.project
    count = args.project_patches or max(PCA_PATCHES * size, LEAST_PATCHES)
    patches = tile_patches(arguments.read_tiles(args, args.tiles), count, args.seed) if args.tiles else None
    return ProjectionRequest(method, size, patches, args.seed)


def tile_patches(folders: Sequence[TileFolder], count: int, seed: int) -> GivePatches:
    """Return what gives `count` random patches of tiles for an encoder, at its resolution."""

    def give(spec: EncoderSpec) -> np.ndarray:
        """Draw the patches: ndarray of uint8, (count, input_size, input_size, 3)."""
        import numpy as np

        from napari_nic.patches import TileSet, load_tiles
        from napari_nic.patches.tiles import resample

        tiles = load_tiles(folders, mpp=spec.mpp, least_side=spec.patch_size)
        images = TileSet(tiles.tiles, spec.patch_size, mpp=spec.mpp).draw(count, np.random.default_rng(seed))
        factor = spec.input_size / spec.patch_size
        return np.stack([resample(image, factor) for image in images.images])

    return give
