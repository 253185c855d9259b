#!/bin/sh
# count.sh - instructions of single kernels and networks on aarch64, NEON and plain C,
# counted under qemu-user by a plugin (insn.c): needs no ARM board, repeats exactly.
#     sh tools/neon/count.sh [--write] [CASE..]
# --write   the table becomes counts.tsv beside this file, which later runs compare to
# CASE      tile conv gather lif pool snn_conv spiking_resnet18 (default: all)
# BUILD, CROSS and QEMU of the environment: folder, compiler, emulator.
#
# What the counts do not show: time. A Cortex-A53 issues one NEON multiply-add a cycle, an
# A76 two; cache misses, memory bandwidth, latencies and the cost of one instruction against
# another are not in them. They show what changed: a kernel that spills registers, a loop
# that no longer vectorizes, work done twice. NEON cannot do better than 0.25 instructions a
# multiply-add in a product, plus the loads.
# SPDX-License-Identifier: MIT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
out=${BUILD:-build}/neon-count
lib=$out/libmango.a
write=
[ "${1:-}" = --write ] && { write=1; shift; }
cross=${CROSS:-aarch64-linux-gnu-gcc}
qemu=${QEMU:-qemu-aarch64}
"$qemu" -h | grep -q -- -plugin || { echo "count.sh: $qemu has no -plugin" >&2; exit 1; }
make BUILD="$out" CC="$cross" OMP= STB=-DMANGO_NO_STB "$lib"
cc -O2 -Wall -Wextra -shared -fPIC -o "$out/insn.so" "$here/insn.c"
"$cross" -std=c99 -O2 -Wall -Wextra -static -o "$out/count" "$here/count.c" "$lib" -lm

for simd in neon ref; do
    MANGO_SIMD=$simd "$qemu" -plugin "$out/insn.so" "$out/count" "$@" >"$out/$simd.tsv"
done

# instructions for a unit, NEON and plain C (their tiles differ in size), NEON in all
{ printf 'case\tunit\tneon\tref\tneon_all\n'
  awk -F'\t' -v OFS='\t' 'NR == FNR { n[$1] = $5 / $3; all[$1] = $5; next }
      { printf "%s\t%s\t%.5f\t%.5f\t%.0f\n", $1, $4, n[$1], $5 / $3, all[$1] }' \
      "$out/neon.tsv" "$out/ref.tsv"; } >"$out/counts.tsv"
kept=$here/counts.tsv
[ -f "$kept" ] || kept=
awk -F'\t' '
FNR == 1 { file++; next }
file < ARGC - 1 { was[$1] = $3; next }
{
    if (!head++)
        printf "%-36s %-18s %12s %9s %9s %9s\n", \
            "instructions on aarch64", "for each", "NEON, all",
            "NEON", "plain C", "NEON was"
    printf "%-36s %-18s %12d %9.3f %9.3f %9s\n", $1, $2, $5, $3, $4,
           ($1 in was) ? sprintf("%+.1f%%", 100 * ($3 / was[$1] - 1)) : "-"
}' $kept "$out/counts.tsv"
[ -z "$write" ] || { cp "$out/counts.tsv" "$here/counts.tsv"; echo "kept in $here/counts.tsv"; }
