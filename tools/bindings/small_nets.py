"""Two small networks for the tests of the MEX file: small_nets.py FOLDER

SPDX-License-Identifier: MIT
"""
import sys
from pathlib import Path

import mango

folder = Path(sys.argv[1])
mango.Net.zoo("vqvae,width=0.125").fill(7, 1.5).save(folder / "gen.safetensors")
mango.Net.zoo("snn_conv,width=0.125,T=4").fill(7).save(folder / "net.safetensors")
