"""What follows every matrix product, in one pass: a bias, an activation, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike, NDArray

from fastact import _axis
from fastact._chosen import Activation, chosen
from fastact._layout import layout_of, real

__all__ = ["bias_activation", "bias_activation_backward"]

_IDENTITY = chosen("identity")


def bias_activation(
    x: ArrayLike,
    bias: ArrayLike,
    activation: Activation | None,
    out: NDArray[Any] | None = None,
    *,
    axis: int = -1,
) -> NDArray[Any]:
    """Add a bias to every channel and apply an activation: f(x + bias) in one pass.

    Parameters
    ----------
    x : array_like of float32 or float64
        What a matrix product gave. Integers become float64 (small ones float32).
    bias : array_like
        A number a channel, shape (C,); taken in the dtype of `x`.
    activation : str, callable or None
        The name of an activation of `fastact.ops()`, its function (`fastact.relu`), or a
        `functools.partial` of that which sets parameters to numbers by name
        (``partial(fastact.leaky_relu, negative_slope=0.2)``). None is the identity.
    out : ndarray, optional
        Where to put the result; of the shape and dtype of `x`, and may be `x`.
    axis : int, default -1
        The axis of `x` that the channels are: the last for (N, C) and NHWC, 1 for NCHW.

    Returns
    -------
    ndarray
        f(x + bias), of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        For complex, object and float16 input, and if `activation` is none of these or has no such
        parameter.
    ValueError
        If `activation` is an unknown name, if `axis` is out of range
        (`numpy.exceptions.AxisError`), or if a shape does not fit. Nothing has been written then.

    Notes
    -----
    x + bias is rounded to the dtype before f is applied: bits and accuracy are those of
    ``f(np.add(x, bias))``. No floating-point warnings. x is read where it lies if it has no gaps,
    and copied first if not.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> from functools import partial
    >>> x, bias = np.array([[-1.0, 2.0], [3.0, -5.0]]), np.array([0.5, 1.0])
    >>> fastact.bias_activation(x, bias, "relu")
    array([[0. , 3. ],
           [3.5, 0. ]])
    >>> fastact.bias_activation(x, bias, partial(fastact.leaky_relu, negative_slope=0.5))
    array([[-0.25,  3.  ],
           [ 3.5 , -2.  ]])
    """
    x = real("x", x)
    f = _IDENTITY if activation is None else chosen(activation)
    layout = layout_of(x, (normalize_axis_index(axis, x.ndim, "axis"),))
    bias = layout.per_channel("bias", bias, x.dtype)
    y = layout.destination(x, out)
    if out is not None:
        bias = bias.copy()  # it may lie in out
    if x.size:
        _axis.bias_activation(layout.shape, layout.read(x), bias, f, y)
    return layout.deliver(y, out)


def bias_activation_backward(
    grad: ArrayLike,
    x: ArrayLike,
    bias: ArrayLike,
    activation: Activation | None,
    *,
    axis: int = -1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gradients of `bias_activation` with respect to x and bias, in one pass.

    Parameters
    ----------
    grad : array_like of float32 or float64
        Gradient with respect to what `bias_activation` gave, of the shape of `x`.
    x, bias, activation, axis
        What it was given.

    Returns
    -------
    dx : ndarray
        grad * f'(x + bias), of the shape and dtype of `x`.
    dbias : ndarray
        The sum of dx over all other axes, of the shape of `bias` and the dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As `bias_activation`.

    Notes
    -----
    dx has the bits of ``f_backward(grad, np.add(x, bias))``. They are added up in float64, of
    float64 with what each addition rounds away, and dbias is rounded once: for N float32 it is off
    by no more than that and N 2^-53 of the sum of abs(dx). No floating-point warnings.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x, bias = np.array([[-1.0, 2.0], [3.0, -5.0]]), np.array([0.5, 1.0])
    >>> dx, dbias = fastact.bias_activation_backward(np.ones((2, 2)), x, bias, "relu")
    >>> dx
    array([[0., 1.],
           [1., 0.]])
    >>> dbias
    array([1., 1.])
    """
    x, grad = real("x", x), real("grad", grad)
    f = _IDENTITY if activation is None else chosen(activation)
    layout = layout_of(x, (normalize_axis_index(axis, x.ndim, "axis"),))
    grad = layout.alike("grad", grad, x)
    bias = layout.per_channel("bias", bias, x.dtype)
    dx, dbias = layout.new(x), np.zeros(layout.channels, x.dtype)
    if x.size:
        _axis.bias_activation(
            layout.shape, layout.read(x), bias, f, dx, grad=layout.read(grad), dbias=dbias
        )
    return layout.back(dx), dbias
