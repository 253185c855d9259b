# check_style.sh - the limits that keep the source readable: no file over 600 lines, no
# function over 60 (an unrolled kernel may be longer: the comment above it says
# "unrolled"), no line over 96 columns; and who includes what.
# SPDX-License-Identifier: MIT
set -u
LC_ALL=C.UTF-8
export LC_ALL
bad=0
say() { # what is wrong, one a line, on stdin
    while read -r line; do
        echo "$line" >&2
        bad=1
    done
    return $bad
}
files=$(find src tools tests -name '*.[ch]' | sort)

# shellcheck disable=SC2086
wc -l $files | grep -v ' total$' |
    awk '$1 > 600 { print $2 ": " $1 " lines, at most 600" }' | say || bad=1
# shellcheck disable=SC2046
grep -nE '^.{97,}' $(find src tools -name '*.[ch]' -o -name '*.sh' | sort) |
    sed 's/^\([^:]*:[0-9]*\):.*/\1: over 96 columns/' | say || bad=1
for f in $(find src tools -name '*.[ch]' | sort); do # a test's table of cases may be long
    awk -v file="$f" '
        /^[{]/ { from = NR; marked = note }
        /^[}]/ { if (from && NR - from > 60 && !marked)
                     print file ":" from ": a function of " NR - from " lines, at most 60"
                 from = 0; note = 0 }
        /unrolled/ && !from { note = 1 }
        /^$/ { note = 0 }' "$f"
done | say || bad=1

# Intrinsics, target attributes and what asks the processor: in math/kernel and cuda alone.
pattern='_mm[0-9]*_[a-z]|mmintrin\.h|immintrin\.h|arm_neon\.h|cpuid\.h|__builtin_cpu_'
pattern="$pattern|attribute__\(\(target|\<v[a-z0-9_]*q_(n_)?[fsu](8|16|32|64)|float32x4_t"
# shellcheck disable=SC2046
grep -nE "$pattern" \
    $(find src tools -name '*.[ch]' ! -path 'src/math/kernel/*' ! -path 'src/cuda/*') |
    sed 's/^\([^:]*:[0-9]*\):.*/\1: intrinsics outside src\/math\/kernel/' | say || bad=1

# The command sees what a user of mango.h sees, and of the private headers src/base alone.
public=$(sed -n 's/^public  *//p' src/FILES)
for f in tools/mango/*.[ch]; do
    for h in $(sed -n 's/^# *include "\(.*\/.*\)".*/\1/p' "$f"); do
        case $h in
        mango.h | ../../src/base/*) continue ;;
        ../../src/*) echo "$public" | grep -qx "${h#../../src/}" && continue ;;
        esac
        echo "$f: includes the private $h"
    done
done | say || bad=1
exit $bad
