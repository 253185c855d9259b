#!/bin/sh
# test.sh - the bindings of those languages that are installed; `make bindings-test` calls it.
#   BUILD=folder with libmango.so, mango.h   WHEEL=1: the wheel, too (a minute or two)
# Each language runs the same closed loop: all must print what the C++ one prints.
# SPDX-License-Identifier: MIT
set -eu
here=tools/bindings
B=$(cd "${BUILD:-build}" && pwd)
D=$B/bindings
PYTHON=${PYTHON:-python3}
CXX=${CXX:-g++}
rm -rf "$D"
mkdir -p "$D"
export LD_LIBRARY_PATH="$B${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" PYTHONDONTWRITEBYTECODE=1
export MANGO_LIBRARY="$B/libmango.so"

skip() { # skip WHAT WHY
    echo "  $1: skipped, $2"
}

same() { # same LANGUAGE: its loop's codes are the expected ones
    cmp "$D/loop.$1" $here/loop.txt || { echo "$1 asks other codes" >&2; exit 1; }
    echo "  $1: the loop's 400 codes are equal"
}

cpp() { # cpp NAME
    $CXX -std=c++11 -Wall -Wextra -Wpedantic -Wconversion -Werror -O1 -I"$B" -I$here/cpp \
        "$here/cpp/$1.cpp" -L"$B" -lmango -o "$D/cpp-$1"
}

if command -v "${CXX%% *}" >/dev/null; then
    cpp loop
    cpp test
    "$D/cpp-loop" >"$D/loop.c++"
    same c++
    "$D/cpp-test"
else
    skip c++ "no $CXX"
fi

python() {
    "$PYTHON" $here/python/loop.py >"$D/loop.python"
    same python
    (cd $here/python && "$PYTHON" -m unittest -q test_mango)
    (cd $here/python && WITHOUT_NUMPY=1 "$PYTHON" -m unittest -q test_mango)
    PYTHONPATH=$here/python "$PYTHON" $here/small_nets.py "$D"
}

new='import ctypes, sys; sys.exit(sys.version_info < (3, 9))'
if command -v "$PYTHON" >/dev/null && "$PYTHON" -c "$new" 2>/dev/null; then
    python
else
    skip python "no $PYTHON of 3.9 or later with ctypes"
fi

octave() {
    (cd "$D" && mkoctfile --mex -Wall -Wextra -I"$B" -L"$B" -lmango \
        "$OLDPWD/$here/mex/mango_mex.c" -o mango_mex.mex)
    octave-cli --quiet --no-init-file --path "$D" $here/mex/loop.m >"$D/loop.octave"
    same octave
    if [ ! -f "$D/net.safetensors" ]; then
        skip "octave's search" "no $PYTHON to make networks"
        return
    fi
    GEN=$D/gen.safetensors NET=$D/net.safetensors \
        octave-cli --quiet --no-init-file --path "$D" $here/mex/test.m
}

if command -v mkoctfile >/dev/null && command -v octave-cli >/dev/null; then
    octave
else
    skip octave "no mkoctfile (octave-dev)"
fi

if command -v julia >/dev/null; then
    julia --startup-file=no $here/julia/loop.jl >"$D/loop.julia"
    same julia
else
    skip julia "it is not installed"
fi

wheel() { # built in a copy, installed into an environment of its own, with its own library
    cp -R $here/python "$D/source"
    (cd "$D/source" && MANGO_HEADER="$B/single/mango.h" "$PYTHON" -m pip wheel -q . --no-deps \
        --no-build-isolation -w "$D")
    ls "$D"/*-py3-none-*.whl
    "$PYTHON" -m venv "$D/venv"
    "$D/venv/bin/pip" install -q --no-deps --no-index "$D"/*.whl
    (cd "$D" && env -u MANGO_LIBRARY -u LD_LIBRARY_PATH venv/bin/python wheel_loop.py) \
        >"$D/loop.wheel"
    same wheel
}

if [ "${WHEEL:-}" ]; then
    cp $here/python/loop.py "$D/wheel_loop.py"
    wheel
fi
