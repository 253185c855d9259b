#!/bin/sh
# demo.sh - `make demo`: the most exciting pictures of a few neurons, at several
# depths of a spiking network, and one page that shows them. Needs nothing but the
# weights that come with the project.
#   GEN, NET   generator and network; TARGETS  neurons (LAYER:UNIT or class:K)
#   BUDGET     queries for each;      T        steps of a query;   OUT  folder
set -eu
MANGO=${MANGO:-build/mango}
OUT=${OUT:-build/demo}
GEN=${GEN:-weights/sngan_cifar10.safetensors}
NET=${NET:-weights/spiking_resnet18_cifar10.safetensors}
TARGETS=${TARGETS:-layer1.0.sn1:5 layer1.1.sn2:20 layer2.1.sn2:40 layer3.1.sn2:100 layer4.1.sn2:17 class:1}
BUDGET=${BUDGET:-1500}
T=${T:-20}
mkdir -p "$OUT"

page=$OUT/index.html
{
    echo '<!doctype html><meta charset="utf-8"><title>MANGO demo</title>'
    echo '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color-scheme:light dark}'
    echo 'figure{display:inline-block;margin:0 1em 1em 0}img{width:192px;image-rendering:pixelated}</style>'
    echo "<h1>Most exciting pictures</h1><p>Found with tt-b in $BUDGET queries among the pictures that $(basename "$GEN" .safetensors) can draw,"
    echo "for neurons of $(basename "$NET" .safetensors) from shallow to deep. A click opens the report.</p>"
} >"$page.new"
for target in $TARGETS; do
    dir=$OUT/$(echo "$target" | tr ':' '-')
    rm -rf "$dir"
    "$MANGO" mei --gen "$GEN" --net "$NET" --target "$target" --opt tt-b --budget "$BUDGET" --T "$T" --out "$dir" --quiet
    rel=${dir#"$OUT"/}
    echo "<figure><a href=\"$rel/report.html\"><img src=\"$rel/best.png\" alt=\"$target\"></a><figcaption>$target</figcaption></figure>" >>"$page.new"
done
mv "$page.new" "$page"
echo "open $page"
