"""onnx_small.py - makes onnx_*.onnx, small models of many operators, opsets and encodings, and
onnx.safetensors: for each an input (NAME.x) and what ONNX Runtime answers (NAME.y).

    python tests/golden/onnx_small.py tests/golden        needs onnx, onnxruntime, numpy, safetensors

Maps with channels last, (N,H,W,C), are stored as (N,C,H,W) in onnx.safetensors.
SPDX-License-Identifier: MIT
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from safetensors.numpy import save_file

rng = np.random.default_rng(17)
FLOAT, INT = T.FLOAT, T.INT64


class Model:
    """Nodes, one after another; each call answers the name of its output."""

    def __init__(self, opset, shape, kind=FLOAT):
        self.opset, self.shape, self.kind = opset, shape, kind
        self.nodes, self.init, self.count, self.out = [], [], 0, None

    def const(self, value, name=None, dtype=None):
        name = name or "c%d" % len(self.init)
        a = np.asarray(value, dtype or (np.int64 if np.asarray(value).dtype.kind == "i" else np.float32))
        self.init.append(nh.from_array(a, name))
        return name

    def random(self, *shape, name=None, scale=None, dtype=np.float32):
        scale = scale or (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
        return self.const((rng.standard_normal(shape) * scale).astype(dtype), name, dtype)

    def __call__(self, op, *inputs, outputs=1, name=None, **attrs):
        self.count += 1
        outs = ["t%d_%d" % (self.count, k) for k in range(outputs)]
        self.nodes.append(h.make_node(op, list(inputs), outs, name=name or "%s_%d" % (op, self.count), **attrs))
        self.out = outs[0]
        return outs[0] if outputs == 1 else outs

    def proto(self):
        x = h.make_tensor_value_info("x", self.kind, self.shape)
        y = h.make_tensor_value_info(self.out, FLOAT, None)
        g = h.make_graph(self.nodes, "small", [x], [y], self.init)
        m = h.make_model(g, opset_imports=[h.make_opsetid("", self.opset)], producer_name="golden")
        m.ir_version = 8 if self.opset < 21 else 10
        return m


def classic():
    m = Model(9, ["batch", 3, 12, 10])
    x = m("Conv", "x", m.random(6, 3, 3, 3, name="c1.weight"), m.random(6), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    ones = np.abs(rng.standard_normal(6)).astype(np.float32) + 0.5
    x = m("BatchNormalization", x, m.random(6, name="bn.weight"), m.random(6), m.random(6), m.const(ones), epsilon=1e-3)
    x = m("LeakyRelu", x, alpha=0.1)
    x = m("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = m("Pad", x, mode="reflect", pads=[0, 0, 1, 0, 0, 0, 0, 2])
    x = m("Conv", x, m.random(8, 3, 3, 3), kernel_shape=[3, 3], group=2, dilations=[1, 2], pads=[0, 1, 2, 1])
    x = m("Clip", x, min=-0.5, max=1.5)
    x = m("Upsample", x, m.const([1.0, 1.0, 2.0, 2.0]), mode="nearest")
    x = m("Slice", x, starts=[1, 2], ends=[7, 9], axes=[1, 2])
    x = m("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = m("Flatten", x)
    x = m("Gemm", x, m.random(6 * 4 * 5, 10), m.random(10), alpha=0.5, beta=2.0)
    m("Softmax", x)
    return m


def channels_last():
    """As Keras is exported: transposes at both ends, biases added, padding by rule."""
    m = Model(11, ["n", 9, 11, 3])
    x = m("Transpose", "x", perm=[0, 3, 1, 2])
    x = m("Conv", x, m.random(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    x = m("Add", x, m.random(1, 4, 1, 1))
    x = m("Elu", x)
    x = m("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    x = m("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_LOWER")
    x = m("Transpose", x, perm=[0, 2, 3, 1])
    x = m("MatMul", x, m.random(4, 6))
    x = m("Add", x, m.random(6))
    x = m("Mul", x, m.random(6))
    a = m("ReduceMean", x, axes=[1, 2], keepdims=0)
    b = m("Reshape", x, m.const(np.array([-1, 3 * 3 * 6])))
    b = m("MatMul", b, m.random(54, 6))
    x = m("Sub", a, b)
    m("Sigmoid", m("Div", x, m.const(3.0)))
    return m


def decoder():
    m = Model(13, ["n", 5])
    x = m("Gemm", "x", m.random(4 * 3 * 3, 5), m.random(36), transB=1)
    x = m("Reshape", x, m.const(np.array([-1, 3, 3, 4])))
    x = m("Transpose", x, perm=[0, 3, 1, 2])
    x = m("PRelu", x, m.random(4, 1, 1))
    x = m("ConvTranspose", x, m.random(4, 5, 3, 3), m.random(5), strides=[2, 2], pads=[1, 0, 0, 1])
    x = m("HardSigmoid", x, alpha=0.3, beta=0.4)
    x = m("ConvTranspose", x, m.random(5, 3, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1], group=1, output_padding=[1, 0])
    x = m("Resize", x, "", m.const([1.0, 1.0, 2.0, 1.5]), mode="linear", coordinate_transformation_mode="half_pixel")
    x = m("InstanceNormalization", x, m.random(3), m.random(3))
    x = m("Tanh", x)
    m("Transpose", x, perm=[0, 2, 3, 1])
    return m


def shuffle():
    m = Model(13, [1, 8, 6, 6])
    a, b = m("Split", "x", m.const(np.array([4, 4])), outputs=2, axis=1)
    b = m("Conv", b, m.random(4, 1, 3, 3), group=4, pads=[1, 1, 1, 1])
    x = m("Concat", a, m("Relu", b), axis=1)
    s = m("Shape", x)
    n = m("Unsqueeze", m("Gather", s, m.const(np.int64(0)), axis=0), m.const(np.array([0])))
    hw = m("Slice", s, m.const(np.array([2])), m.const(np.array([4])), m.const(np.array([0])))
    x = m("Reshape", x, m("Concat", n, m.const(np.array([2, 4])), hw, axis=0))
    x = m("Transpose", x, perm=[0, 2, 1, 3, 4])
    x = m("Reshape", x, m("Concat", n, m.const(np.array([-1])), hw, axis=0))
    x = m("Conv", x, m.random(12, 8, 1, 1))
    d = m("DepthToSpace", x, blocksize=2, mode="DCR")
    c = m("DepthToSpace", x, blocksize=2, mode="CRD")
    x = m("SpaceToDepth", m("Sub", d, c), blocksize=3)
    x = m("Slice", x, m.const(np.array([0, 1])), m.const(np.array([27, 9])), m.const(np.array([1, 3])), m.const(np.array([3, 1])))
    m("ReduceSum", x, m.const(np.array([2])), keepdims=0)
    return m


def tokens():
    """Patches as a sequence, norms and GELU in their parts, positions added."""
    m = Model(14, ["n", 3, 8, 8])
    x = m("Conv", "x", m.random(6, 3, 4, 4), strides=[4, 4])
    x = m("Reshape", x, m.const(np.array([0, 6, -1])))
    x = m("Transpose", x, perm=[0, 2, 1])
    x = m("Add", x, m.random(1, 4, 6))
    d = m("Sub", x, m("ReduceMean", x, axes=[-1]))
    v = m("ReduceMean", m("Pow", d, m.const(2.0)), axes=[-1])
    y = m("Div", d, m("Sqrt", m("Add", v, m.const(1e-5))))
    y = m("Add", m("Mul", y, m.random(6)), m.random(6))
    y = m("Transpose", y, perm=[0, 2, 1])
    y = m("Add", m("MatMul", y, m.random(4, 5)), m.random(5))
    e = m("Erf", m("Div", y, m.const(2.0 ** 0.5)))
    y = m("Mul", m("Mul", y, m("Add", e, m.const(1.0))), m.const(0.5))
    y = m("MatMul", y, m.random(5, 4))
    x = m("Add", x, m("Transpose", y, perm=[0, 2, 1]))
    g = m("Sigmoid", m("MatMul", m("ReduceMean", x, axes=[1]), m.random(6, 6)))
    x = m("Mul", m("Mul", x, g), m("Sigmoid", m("MatMul", x, m.random(6, 1))))
    x = m("Gather", x, m.const(np.int64(1)), axis=1)
    m("LogSoftmax", m("MatMul", x, m.random(6, 4)), axis=-1)
    return m


def modern():
    m = Model(22, ["n", 4, 9, 9])
    x = m("Conv", "x", m.random(8, 4, 3, 3), m.random(8), pads=[1, 1, 1, 1])
    x = m("GroupNormalization", x, m.random(8), m.random(8), num_groups=4)
    x = m("Gelu", x, approximate="tanh")
    x = m("Pad", x, m.const(np.array([1, 0, 0, 2])), m.const(0.25), m.const(np.array([2, 3])))
    x = m("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, dilations=[1, 2])
    x = m("Mish", m("HardSwish", m("Softplus", x)))
    x = m("Transpose", x, perm=[0, 2, 3, 1])
    x = m("LayerNormalization", x, m.random(8), m.random(8), axis=-1)
    a, b, c = m("Split", x, outputs=3, axis=3, num_outputs=3)
    x = m("Concat", c, m("Abs", a), m("Neg", b), axis=3)
    x = m("LayerNormalization", x, m.random(5, 4, 8), axis=1)
    x = m("Squeeze", m("ReduceMax", x, m.const(np.array([1, 2])), keepdims=1), m.const(np.array([1, 2])))
    m("Selu", m("Celu", x))
    return m


def line():
    """One axis of space, and numbers of many types."""
    m = Model(13, ["n", 2, 30])
    x = m("Conv", "x", m("Cast", m.random(4, 2, 5, dtype=np.float64), to=FLOAT), strides=[2], pads=[2, 2])
    x = m("Mul", x, m("Cast", m.random(4, 1, dtype=np.float16), to=FLOAT))
    x = m("AveragePool", x, kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1)
    x = m("Conv", x, m("Transpose", m.random(3, 4, 6), perm=[2, 1, 0]), dilations=[2], pads=[1, 3])
    m.init.append(h.make_tensor("typed", FLOAT, [6, 1], [0.5, -1.0, 2.0, 0.25, 1.5, -0.75]))
    m.init.append(h.make_tensor("whole", T.INT32, [1], [-3]))
    m.init.append(h.make_tensor("half", T.FLOAT16, [6, 1], [1.0, 0.5, 0.25, -2.0, 3.0, 0.1]))
    x = m("Add", x, "typed")
    x = m("Add", x, m("Cast", "half", to=FLOAT))
    x = m("Div", x, m("Cast", "whole", to=FLOAT))
    x = m("Resize", x, "", m.const([1.0, 1.0, 1.5]), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = m("ReduceMean", x, axes=[2], keepdims=1)
    m("Flatten", x)
    return m


def codes():
    m = Model(13, ["n", 3, 4], INT)
    x = m("Gather", m.random(10, 5), "x", axis=0)
    x = m("Transpose", x, perm=[0, 3, 1, 2])
    m("Conv", x, m.random(2, 5, 3, 3), pads=[1, 1, 1, 1])
    return m


ALL = (classic, channels_last, decoder, shuffle, tokens, modern, line, codes)


def main(folder):
    kept = {}
    for make in ALL:
        m = make()
        proto = m.proto()
        onnx.save(proto, os.path.join(folder, "onnx_%s.onnx" % make.__name__))
        shape = [2 if isinstance(d, str) else d for d in m.shape]
        x = rng.integers(0, 10, shape) if m.kind == INT else rng.standard_normal(shape).astype(np.float32)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        y = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        last = make in (channels_last,)
        kept[make.__name__ + ".x"] = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if last else x).astype(np.float32)
        kept[make.__name__ + ".y"] = np.ascontiguousarray(y.transpose(0, 3, 1, 2) if make is decoder else y)
        print(make.__name__, x.shape, y.shape, os.path.getsize(os.path.join(folder, "onnx_%s.onnx" % make.__name__)))
    save_file(kept, os.path.join(folder, "onnx.safetensors"))


if __name__ == "__main__":
    main(sys.argv[1])
