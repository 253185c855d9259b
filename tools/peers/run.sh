#!/bin/sh
# run.sh - time mango beside its peers (peers.py) in a throw-away Python environment.
#   sh tools/peers/run.sh [--protes] [--runtimes] [--only-install] [options of peers.py]
# PEERS_ENV    where it is made (default ${XDG_CACHE_HOME:-$HOME/.cache}/mango-peers);
#              outside the repository, about 2 GB; delete the folder to be rid of it
# PYTHON       the Python 3 that makes it (needs its venv module: Debian's python3-venv)
# PIP_OPTIONS  further options of `pip install`, such as an index of CPU builds of torch
# SPDX-License-Identifier: MIT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
env=${PEERS_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/mango-peers}
python=${PYTHON:-python3}
packages="torch torchvision snntorch spikingjelly safetensors numpy threadpoolctl"
only=
runtimes=

while [ $# -gt 0 ]; do
    case $1 in
    --protes) packages="$packages jax protes" ;;
    --runtimes) packages="$packages onnx onnxruntime openvino" runtimes=--runtimes ;;
    --only-install) only=1 ;;
    *) break ;;
    esac
    shift
done

case $env/ in
"$root"/*) echo "run.sh: $env lies in the repository; set PEERS_ENV to another place" >&2
    exit 2 ;;
esac

if [ ! -x "$env/bin/python" ]; then
    echo "making a Python environment in $env"
    "$python" -m venv "$env" || {
        rm -rf "$env"
        echo "run.sh: $python has no venv module; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi

# What was installed is written down, so that a second run asks nothing of the network.
if [ "$(cat "$env/installed" 2>/dev/null)" != "$packages" ]; then
    missing=
    for p in $packages; do
        "$env/bin/python" -c "import importlib.metadata as m; m.version('$p')" 2>/dev/null ||
            missing="$missing $p"
    done
    if [ -n "$missing" ]; then
        echo "installing with pip:$missing"
        # shellcheck disable=SC2086
        "$env/bin/python" -m pip install --quiet --disable-pip-version-check \
            ${PIP_OPTIONS:-} $missing
    fi
    echo "$packages" >"$env/installed"
fi
[ -z "$only" ] || exit 0

if [ -z "${MANGO:-}" ]; then
    MANGO=$root/build/mango
    [ -x "$MANGO" ] || make -C "$root"
fi
exec "$env/bin/python" -B "$here/peers.py" --mango "$MANGO" $runtimes "$@"
