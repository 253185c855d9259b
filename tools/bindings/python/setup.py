"""Builds the library into the wheel: one C file, by the system's compiler.

CC and CFLAGS as for make; MANGO_HEADER names another mango.h than that of the tree.
SPDX-License-Identifier: MIT
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
NAMES = {"win32": "mango.dll", "darwin": "libmango.dylib"}


def header() -> Path:
    """mango.h: the named one, the one beside us (of a source archive), the tree's."""
    named = os.environ.get("MANGO_HEADER")
    places = [Path(named)] if named else [HERE / "mango.h", HERE.parents[2] / "mango.h"]
    for place in places:
        if place.is_file():
            return place
    sys.exit(f"mango.h expected at {' or '.join(map(str, places))}; set MANGO_HEADER")


def version() -> str:
    return re.search(r'#define MANGO_VERSION "([^"]+)"', header().read_text()).group(1)


def works(cc, flags, folder: Path) -> bool:
    """Does the compiler take these flags, and link by them?"""
    (folder / "try.c").write_text("int main(void) { return 0; }\n")
    command = [*cc, *flags, str(folder / "try.c"), "-o", str(folder / "try")]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def compile_library(out: Path) -> None:
    cc = shlex.split(os.environ.get("CC", "cc"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mango.c").write_text('#define MANGO_IMPLEMENTATION\n#include "mango.h"\n')
        shutil.copy(header(), folder / "mango.h")
        flags = ["-std=c99", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-shared"]
        flags += [] if sys.platform == "win32" else ["-fPIC"]
        flags += ["-fopenmp"] if works(cc, ["-fopenmp"], folder) else []
        flags += shlex.split(os.environ.get("CFLAGS", ""))
        subprocess.check_call([*cc, *flags, str(folder / "mango.c"), "-o", str(out), "-lm"])


class Build(build_py):
    """The Python files, and the library beside them."""

    def run(self):
        super().run()
        if not getattr(self, "editable_mode", False):
            folder = Path(self.build_lib) / "mango"
        else:
            folder = HERE / "mango"
        folder.mkdir(parents=True, exist_ok=True)
        compile_library(folder / NAMES.get(sys.platform, "libmango.so"))


class Wheel(bdist_wheel):
    """Any Python 3, this platform: nothing is compiled against Python."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class Source(sdist):
    """A source archive has its mango.h with it."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        shutil.copy(header(), Path(base_dir) / "mango.h")


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True


setup(version=version(), distclass=WithLibrary,
      cmdclass={"build_py": Build, "bdist_wheel": Wheel, "sdist": Source})
