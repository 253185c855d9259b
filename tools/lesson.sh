#!/bin/sh
# lesson.sh - the commands of examples/lesson.md, one after the other, with the time of each.
#   sh tools/lesson.sh [DATA [OUT]]
#   DATA: folder of the MNIST files (data/mnist); OUT: build/lesson
set -eu
MANGO=${MANGO:-build/mango}
DATA=${1:-data/mnist}
OUT=${2:-build/lesson}
mkdir -p "$OUT"
VAE=$OUT/vqvae.safetensors SNN=$OUT/snn.safetensors
start=$(date +%s)

# Processor seconds of all commands so far into $cpu: the second line of `times`, 1m2.3s 0m0.4s.
clock() {
    times >"$OUT/.times"
    cpu=$(sed -n '2{s/[ms]/ /g;p;}' "$OUT/.times" |
        awk '{printf "%.1f", 60 * $1 + $2 + 60 * $3 + $4}')
}

step() { # TITLE COMMAND...: shows it, runs it, prints how long it took
    printf '\n== %s\n' "$1"
    shift
    printf '$ mango'
    printf ' %s' "$@"
    printf '\n'
    from=$(date +%s)
    clock
    before=$cpu
    "$MANGO" "$@"
    clock
    awk -v t=$(($(date +%s) - from)) -v a="$before" -v b="$cpu" \
        'BEGIN {printf "-- %d s, %.1f s of processor time\n", t, b - a}'
}

rm -rf "$OUT"/mei-* "$VAE"* "$SNN"*
step "the data" data check mnist --root "$DATA"
step "a generator that draws strokes" train vqvae --data mnist --root "$DATA" \
    --arch vqvae,in=1x28x28,hidden=32,codes=16,dim=8 --epochs 4 --batch 64 --lr 0.002 --flip 0 \
    --reference 100 --out "$VAE"
step "how well does it rebuild digits?" eval --gen "$VAE" --data mnist --root "$DATA"
step "a network of spiking neurons" train net --data mnist --root "$DATA" \
    --arch snn_conv,in=1x28x28,width=0.2,hidden=64,T=20,surrogate=atan,slope=2 --T 4 \
    --epochs 3 \
    --batch 64 --lr 0.003 --warmup 0.1 --out "$SNN"
step "its layers, and the rule of its neurons" info "$SNN"
for T in 1 4 20; do
    step "does it read digits in $T steps?" eval --net "$SNN" --data mnist --root "$DATA" --T $T
done
for target in ${TARGETS:-spiking0:9 spiking1:3 class:4 class:7}; do
    dir=$OUT/mei-$(echo "$target" | tr ':' '-')
    step "the most exciting picture of $target" \
        mei --gen "$VAE" --net "$SNN" --target "$target" \
        --opt tt-b --budget 4000 --seed 1 --T 20 --out "$dir"
done
step "the same search, guessing only" mei --gen "$VAE" --net "$SNN" --target class:7 \
    --opt random --budget 4000 --seed 1 --T 20 --out "$OUT/mei-random"
step "show one picture to the network again" \
    run --net "$SNN" --input "$OUT/mei-class-7/best.png" \
    --T 20 --record spiking1,final_spiking --out "$OUT/again.safetensors"
rm -f "$OUT/.times"
printf '\nthe whole lesson: %d s; open %s\n' $(($(date +%s) - start)) \
    "$OUT/mei-class-7/report.html"
