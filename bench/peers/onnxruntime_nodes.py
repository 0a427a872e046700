"""Models of one node each; there are no derivatives. ``out=`` is an output bound beforehand."""

import os
from functools import cache, partial

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

NODES = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "gelu": ("Gelu", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "silu": ("Swish", {}),
    "softplus": ("Softplus", {}),
    "mish": ("Mish", {}),
    "celu": ("Celu", {}),
    "identity": ("Identity", {}),
    "relu6": ("Clip", {"min": 0, "max": 6}),
    "threshold": ("ThresholdedRelu", {"alpha": 0.0}),
    "hardtanh": ("Clip", {"min": -1, "max": 1}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6}),
    "hard_swish": ("HardSwish", {}),
    "hardshrink": ("Shrink", {"lambd": 0.5}),
    "softshrink": ("Shrink", {"lambd": 0.5, "bias": 0.5}),
    "softsign": ("Softsign", {}),
    "exp": ("Exp", {}),
    "erf": ("Erf", {}),
    "quick_gelu": ("com.microsoft.QuickGelu", {}),
}


def calls(cell, arrays, out):
    session = session_of(cell.function, cell.dtype) if cell.function in NODES else None
    if session is None:
        return {}
    (x,) = arrays
    made = {"": lambda: session.run(None, {"x": x})[0]}
    if out is not None:
        binding = session.io_binding()
        binding.bind_cpu_input("x", x)
        binding.bind_output("y", "cpu", 0, x.dtype, x.shape, out.ctypes.data)
        made[" out="] = partial(_run, session, binding, out)
    return made


def _run(session, binding, out):
    session.run_with_iobinding(binding)
    return out


@cache
def session_of(name, dtype):
    """A session of one node, or None where there is no kernel of that dtype."""
    node, attributes = NODES[name]
    domain, _, kind = node.rpartition(".")
    bounds = attributes if kind == "Clip" else {}
    made = onnx.helper.make_node(
        kind, ["x", *bounds], ["y"], domain=domain, **({} if bounds else attributes)
    )
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = onnx.helper.make_graph(
        [made],
        node,
        [onnx.helper.make_tensor_value_info("x", element, ["n"])],
        [onnx.helper.make_tensor_value_info("y", element, ["n"])],
        [onnx.helper.make_tensor(bound, element, [], [v]) for bound, v in bounds.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 24), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=11)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = (
        int(os.environ.get("OMP_NUM_THREADS", 0)),
        1,
    )
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options)
    except (state.NotImplemented, state.InvalidGraph, state.Fail):
        return None
