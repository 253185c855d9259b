# cross.sh - does the command of another machine give the bytes of this one's?
#   sh tools/cross.sh BUILD NAME EMULATOR    BUILD/mango against BUILD/NAME/mango
# Self-test, a search, a network run, a training and a short search of every optimizer,
# file by file; then the tests: for another processor the library's modules that take
# seconds, for Windows and musl the command's.
# SPDX-License-Identifier: MIT
set -eu
build=$1 name=$2 emulator=$3
top=$(pwd)
work=$build/$name/try
other=$top/$build/$name/mango
[ -e "$other" ] || other=$other.exe
case $emulator in wine*)
    export WINEDEBUG=-all WINEPREFIX="$top/$build/$name/wine"
    emulator=$(command -v /usr/lib/wine/wine64 || command -v wine64 || command -v wine)
    server=${emulator%/*}/wineserver64
    export WINEDLLOVERRIDES=mscoree,mshtml= MANGO_TOOL_SYSTEM=windows
    if [ -x "$server" ]; then # one for all, to the end
        mkdir -p "$WINEPREFIX"
        "$server" -p && trap '"$server" -k' EXIT INT TERM
    fi
    "$emulator" wineboot -i >/dev/null 2>&1 ;;
esac
printf '#!/bin/sh\nexec %s %s "$@"\n' "$emulator" "$other" >"$build/$name/command"
chmod +x "$build/$name/command"
rm -rf "$work"
mkdir -p "$work/here" "$work/there"


run() { # FOLDER COMMAND ARGUMENTS
    folder=$1
    shift
    (cd "$folder" && "$@" >>log 2>&1) || { tail "$folder/log"; exit 1; }
}
both() { # ARGUMENTS: here and there
    run "$work/here" "$top/$build/mango" "$@"
    run "$work/there" "$top/$build/$name/command" "$@"
}
same() { # FILES
    for f in "$@"; do
        cmp "$work/here/$f" "$work/there/$f" || exit 1
    done
}
both version --selftest
both mei --gen zoo:vqvae,width=0.125 --net zoo:snn_conv,width=0.125 --fill 7,1 \
    --target spiking1:3 --T 6 --budget 120 --quiet --out mei
same mei/journal.jsonl mei/codes.npy mei/scores.tsv mei/best.npy mei/best.png mei/progress.gif
both run --net zoo:snn_conv,width=0.125 --fill 7,1 --fill-input 3 --batch 3 --T 5 \
    --record all --spikes 'spiking1,spiking2' --out run.safetensors
same run.safetensors
for class in a b; do # pictures of the search, named by chance
    both decode --gen zoo:vqvae,width=0.125 --fill 7,1 --codes mei/codes.npy --limit 4 \
        --out data/train/$class
    both decode --gen zoo:vqvae,width=0.125 --fill 8,1 --codes mei/codes.npy --limit 2 \
        --out data/test/$class
done
same data/train/a/000003.png data/train/b/images.npy
both train net --arch snn_conv,width=0.125,classes=2 --data folder --root data --epochs 2 \
    --T 2 --batch 8 --quiet --out net.safetensors
same net.safetensors
search() { # GENERATOR BUDGET OPTIMIZER: small, so that its own arithmetic is what counts
    both mei --gen "zoo:$1,width=0.03" --net zoo:snn_conv,width=0.03 --fill 7,1 \
        --target spiking0:1 --T 1 --k 10 --budget "$2" --opt "$3" --threads 1 --quiet \
        --out "opt/$1-$3"
    same "opt/$1-$3/codes.npy"
}
for preset in $("$build/mango" info --presets |
    sed -n '/^options of/q; s/^\([a-z][a-z0-9-]*\) .*/\1/p'); do
    case $preset in
    auto | gp-codes) search vqvae 50 "$preset" ;; # a model after the first 30
    *) search vqvae 30 "$preset" ;;
    esac
done
for preset in auto gp-latent sep-cma sphere-cma gradient; do
    search sngan 30 "$preset"
done
echo "  $name: the same files as here"
MANGO_TEST_FAST=1
export MANGO_TEST_FAST
if [ -x "$build/$name/runner" ]; then
    "$emulator" "$build/$name/runner" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
else
    for module in tests/test_tool_*.c; do
        module=${module#tests/test_}
        case ${MANGO_TOOL_SYSTEM:-}$module in
        windowstool_system.c) continue ;; # signals, links, limits: POSIX's
        esac
        MANGO_TOOL=$build/$name/command "$build/runner" "${module%.c}" >"$work/log" 2>&1 ||
            { cat "$work/log"; exit 1; }
    done
fi
echo "  $name: its tests pass"
