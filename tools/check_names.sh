# check_names.sh - what mango.h leaves in the file that includes it: every function,
# variable, type, enumerator and macro of ours begins with mango_ or mgi_.
#   sh tools/check_names.sh [mango.h [FOLDER]]      prints the others; exit 1 when there are
# The compiler's own record (DWARF) is read, so no name is missed for being static.
# SPDX-License-Identifier: MIT
set -eu
header=${1:-mango.h}
work=${2:-build/names}
mkdir -p "$work"
printf '#define MANGO_IMPLEMENTATION\n#include "%s"\n' "$(basename "$header")" >"$work/names.c"
gcc -std=c99 -O0 -gdwarf-4 -fno-eliminate-unused-debug-types -fkeep-static-functions \
    -I "$(dirname "$header")" -c "$work/names.c" -o "$work/names.o"

# Entries of the first level and enumerators: name and number of the file they stand in.
readelf --debug-dump=info "$work/names.o" 2>/dev/null | awk '
    /Abbrev Number/ {
        if (name && keep) print file, name
        name = ""; file = 0
        keep = $0 ~ /^ *<1>/ || $0 ~ /^ *<2>.*DW_TAG_enumerator/
        if ($0 ~ /DW_TAG_enumeration_type/) inherited = 1
        enumerator = $0 ~ /^ *<2>.*DW_TAG_enumerator/
    }
    /DW_AT_name/ { name = $NF }
    /DW_AT_decl_file/ { file = $NF; if (keep && !enumerator) last = file }
    enumerator { file = last }
    END { if (name && keep) print file, name }' | sort -u >"$work/all"
ours=$(awk '$2 == "mango_status_text" { print $1; exit }' "$work/all")
awk -v ours="$ours" '$1 == ours { print $2 }' "$work/all" |
    grep -v '^mango_\|^MANGO_\|^mgi_\|^MGI_' | sort -u >"$work/bad" || true

gcc -std=c99 -E -dD -DMANGO_IMPLEMENTATION "$header" | awk '
    /^# [0-9]/ { here = index($3, "mango.h") > 0 }
    here && /^#define / { sub(/\(.*/, "", $2); name[$2] = 1 }
    /^#undef / { delete name[$2] }
    END { for (n in name) print n }' |
    grep -v '^mango_\|^MANGO_\|^MGI_' |
    grep -v '^_POSIX_C_SOURCE$\|^_DEFAULT_SOURCE$\|^_FILE_OFFSET_BITS$' |
    sort >>"$work/bad" || true
[ -s "$work/bad" ] || exit 0
echo "$header: names without the prefix mango_ or mgi_:" >&2
cat "$work/bad" >&2
exit 1
