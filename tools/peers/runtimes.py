"""runtimes.py - ONNX Runtime and OpenVINO on the dense networks of networks.py.

Each network is written as an ONNX file of one batch size from its PyTorch form and
run in float32 with the threads that are asked for. What is not installed is left out.
SPDX-License-Identifier: MIT
"""
import os
import warnings

import numpy as np
import torch


class Seen(torch.nn.Module):
    """What a peer runs, as one module with one input."""

    def __init__(self, peer):
        super().__init__()
        self.net, self.peer = peer.net, [peer]

    def forward(self, x):
        return self.peer[0].run(x)


def write_onnx(peer, x, path):
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(Seen(peer).eval(), (x,), path, input_names=["x"], output_names=["y"],
                          opset_version=17, dynamo=False)


def onnx_runtime(path, threads):
    import onnxruntime as ort

    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads, o.log_severity_level = threads, 1, 3
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    return lambda x: s.run(None, {"x": x})[0]


def openvino(path, threads):
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(path, "CPU", config).create_infer_request()
    return lambda x: request.infer({"x": x}, share_inputs=True)[request.model_outputs[0]]


RUNTIMES = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino}


def calls(peer, x, folder, threads):
    """{name: function that runs x once}; the output of each is checked against PyTorch's first."""
    path = os.path.join(folder, "peer.onnx")
    write_onnx(peer, x, path)
    given = np.ascontiguousarray(x.numpy())
    with torch.no_grad():
        want = peer.run(x).numpy()
    out = {}
    for name, make in RUNTIMES.items():
        try:
            f = make(path, threads)
        except ImportError:
            print(f"    {name}: not installed (tools/peers/run.sh --runtimes)")
            continue
        error = float(np.abs(f(given).reshape(want.shape) - want).max() / np.abs(want).max())
        if error > 1e-4:
            print(f"    {name}: DISAGREES with PyTorch, output differs by {error:.1e}; left out")
            continue
        out[name] = lambda f=f: f(given)
    return out
