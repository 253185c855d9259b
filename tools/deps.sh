# deps.sh - see that what building and testing need is here; on a Debian family
# system install it, elsewhere say what to install and stop.
#   sh tools/deps.sh [COMMAND:PACKAGE | HEADER.h:PACKAGE ...]   checks these, too
# SPDX-License-Identifier: MIT
CC=${CC:-cc}
missing=
for need in "${CC%% *}:gcc" libc:libc6-dev stb/stb_image.h:libstb-dev "$@"; do
    what=${need%%:*} package=${need#*:}
    case $what in
    libc) printf '#include <stdio.h>\nint main(void){return 0;}\n' |
        $CC -x c - -o /dev/null 2>/dev/null ;;
    *.h) printf '#include <%s>\n' "$what" | $CC -E -x c - >/dev/null 2>&1 ;;
    *) command -v "$what" >/dev/null 2>&1 ;;
    esac || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "please install (Debian's names):$missing" >&2
    exit 1
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
        { echo "please install as root: apt-get install$missing" >&2; exit 1; }
    root=sudo
fi
echo "  installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$root apt-get install -y --no-install-recommends $missing </dev/null >/dev/null 2>&1 ||
    { $root apt-get update </dev/null >/dev/null &&
      $root apt-get install -y --no-install-recommends $missing </dev/null; }
