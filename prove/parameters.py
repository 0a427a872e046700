"""Parameter sets that proofs and tests try beside the defaults, by the activation's name.

Steeper, flatter and negative; corners where a formula degenerates (a bound of 0, b = 0).
"""

PARAMETERS: dict[str, tuple[tuple[float, ...], ...]] = {
    "leaky_relu": ((0.2,), (1.5,), (-0.5,)),
    "elu": ((1.7,), (-0.3,)),
    "softplus": ((2.7,), (0.3,), (-1.3,)),
    "celu": ((2.5,), (0.3,)),
    "swish": ((1.702,), (0.3,), (-1.5,)),
    "hard_sigmoid": ((0.2, 0.5), (-0.5, 0.25)),
    "hardtanh": ((-2.0, 0.5), (0.0, 6.0)),
    "threshold": ((0.1, 20.0), (-1.0, -3.0)),
    "hardshrink": ((1.5,), (0.0,)),
    "softshrink": ((1.5,), (0.0,)),
    "squareplus": ((1.0,), (0.3,), (0.0,)),
    "clipped_linear": ((0.3, 0.1, -1.0, 1.0), (-2.0, 0.5, 0.0, 6.0)),
}
