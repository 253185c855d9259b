#!/bin/sh
# demo.sh - `make demo`: the most exciting pictures of a few neurons, at several
# depths of a spiking network, and one page that shows them.
set -eu
MANGO=${MANGO:-build/mango}
OUT=${OUT:-build/demo}
SHARED=${MANGO_SHARED:-../shared}
mkdir -p "$OUT"

# Weights: those that come with the project; where one of the CIFAR pair is missing,
# the public one of the shared folder, imported; without that folder, the MNIST pair.
weights() { # NAME FILE ARCH -> prints what to give to --net or --gen
    if [ -f "weights/$1.safetensors" ]; then echo "weights/$1.safetensors"
    elif [ -f "$SHARED/weights/$2" ]; then
        "$MANGO" import "$SHARED/weights/$2" --arch "$3" --out "$OUT/$1.safetensors" --quiet >/dev/null &&
            echo "$OUT/$1.safetensors"
    fi
}
GEN=$(weights vqvae_cifar10 vae_vq_cifar10.pt vqvae)
NET=$(weights snn_conv_cifar10 snn_cifar10.pt snn_conv)
some="spiking0:17 spiking0:120 spiking1:3 spiking1:9 spiking2:5 class:7"
if [ -z "$GEN" ] || [ -z "$NET" ]; then
    echo "demo: no spiking network for CIFAR-10 in weights/ or $SHARED/weights; showing MNIST"
    GEN=weights/mnist/vqvae.safetensors NET=weights/mnist/snn.safetensors
    some="spiking0:9 spiking1:3 spiking1:9 class:3 class:7 class:9"
fi

page=$OUT/index.html
{
    echo '<!doctype html><meta charset="utf-8"><title>MANGO demo</title>'
    echo '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color-scheme:light dark}'
    echo 'figure{display:inline-block;margin:0 1em 1em 0}img{width:192px;image-rendering:pixelated}</style>'
    echo '<h1>Most exciting pictures</h1><p>Found with tt-b among the pictures that the VQ-VAE can draw. A click opens the report.</p>'
} >"$page.new"
for target in ${TARGETS:-$some}; do
    dir=$OUT/$(echo "$target" | tr ':' '-')
    rm -rf "$dir"
    "$MANGO" mei --gen "$GEN" --net "$NET" --target "$target" --opt tt-b --budget "${BUDGET:-1500}" --T 20 --out "$dir" --quiet
    rel=${dir#"$OUT"/}
    echo "<figure><a href=\"$rel/report.html\"><img src=\"$rel/best.png\" alt=\"$target\"></a><figcaption>$target</figcaption></figure>" >>"$page.new"
done
mv "$page.new" "$page"
echo "open $page"
