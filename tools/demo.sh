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
depths='layer1.0.sn1:5 layer1.1.sn2:20 layer2.1.sn2:40 layer3.1.sn2:100 layer4.1.sn2:17'
TARGETS=${TARGETS:-$depths class:1}
BUDGET=${BUDGET:-1500}
T=${T:-20}
page=$OUT/index.html
figures=$OUT/figures.part
count=$(echo "$TARGETS" | wc -w)
start=$(date +%s)

# Text as HTML has it.
text() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }

# Seconds as a person says them.
time_text() { if [ "$1" -lt 90 ]; then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi; }

# left DONE: what the units so far took, for those that are left.
left() { time_text $((($(date +%s) - start) * (count - $1) / $1)); }

# show DONE: the page of the units so far; until all are there it looks again by itself.
show() {
    gen=$(text "$(basename "$GEN" .safetensors)")
    net=$(text "$(basename "$NET" .safetensors)")
    more=
    [ "$1" -eq 0 ] || more=", about $(left "$1") left"
    {
        echo '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        echo '<title>MANGO demo</title>'
        [ "$1" -ge "$count" ] || echo '<meta http-equiv="refresh" content="5">'
        echo '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;'
        echo 'padding:0 1em;color-scheme:light dark}figure{display:inline-block;'
        echo 'margin:0 1em 1em 0}img{width:192px;image-rendering:pixelated}</style></head>'
        echo "<body><h1>Most exciting pictures</h1><p>Found in $BUDGET queries"
        echo "among the pictures that $gen can draw, for neurons of $net from shallow to"
        echo "deep. A click opens the report.</p>"
        cat "$figures"
        [ "$1" -ge "$count" ] || echo "<p>$1 of $count found$more.</p>"
        echo '</body></html>'
    } >"$page.new"
    mv "$page.new" "$page"
}

# figure TARGET FOLDER ACTIVATION
figure() {
    case $1 in class:*) unit=probability ;; *) unit='spikes per step' ;; esac
    name=$(text "$1")
    echo "<figure><a href=\"$2/report.html\"><img src=\"$2/best.png\" alt=\"$name\"></a>"
    echo "<figcaption>$name<br>$(printf '%.3g' "$3") $unit</figcaption></figure>"
}

mkdir -p "$OUT"
: >"$figures"
done=0
show 0
echo "a page grows with each picture: $page"
for target in $TARGETS; do
    folder=$(echo "$target" | tr ':/' '--')
    more=
    [ "$done" -eq 0 ] || more=", all in about $(left "$done")"
    echo "$((done + 1)) of $count: $target$more"
    rm -rf "${OUT:?}/$folder"
    found=$("$MANGO" mei --gen "$GEN" --net "$NET" --target "$target" \
        --budget "$BUDGET" --T "$T" --out "$OUT/$folder" --json)
    best=$(echo "$found" | sed 's/^{"best":\([^,]*\),.*/\1/')
    figure "$target" "$folder" "$best" >>"$figures"
    done=$((done + 1))
    show "$done"
    echo "   best $(printf '%.3g' "$best")"
done
rm "$figures"
echo "open $page"
