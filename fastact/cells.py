"""Steps of recurrent cells, all of them but the matrix products, in one pass each way."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastact import _cells

__all__ = ["gru_cell", "gru_cell_backward", "lstm_cell", "lstm_cell_backward"]


def lstm_cell(
    gates: ArrayLike,
    c_prev: ArrayLike,
    *,
    out: tuple[NDArray[Any] | None, NDArray[Any] | None] | None = None,
    saved: NDArray[Any] | bool = True,
    axis: int = -1,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """A step of a long short-term memory, from its gates before their activations.

    With a = gates cut into a_i, a_f, a_g, a_o (input, forget, cell, output: PyTorch's order)::

        i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
        c = f * c_prev + i * g
        h = o * tanh(c)

    Parameters
    ----------
    gates : array_like of float16, bfloat16, float32 or float64
        What matrix products and biases gave, ``x @ w_x + h_prev @ w_h + b``, of shape (..., 4H).
        Integers become float64 (small ones float32).
    c_prev : array_like
        The cell state before, of shape (..., H); taken in the dtype of `gates`.
    out : tuple of ndarray, optional
        Where to put (h, c); of the shape of `c_prev` and the dtype of `gates`. Either may be
        `c_prev`, which the way back does not need.
    saved : ndarray or bool, default True
        Where to put `saved`, such as what an earlier call gave. False saves nothing, for
        inference, which is faster.
    axis : int, default -1
        The axis of `gates` along which the gates follow each other.

    Returns
    -------
    h, c : ndarray
        The output and the cell state, of the shape of `c_prev` and the dtype of `gates`.
    saved : ndarray or None
        All that `lstm_cell_backward` needs, of shape (..., 6H): the partial derivatives
        dc/da_i, dc/da_f, dc/da_g, dh/da_o, dh/dc and dc/dc_prev = f; in float32 for half types.

    Raises
    ------
    TypeError
        For complex and object input, and if `out` or `saved` is not of arrays.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`), if a shape or a dtype does not
        fit, or if outputs share memory. Nothing has been written then.

    Notes
    -----
    c is within 4 ULP of the larger of f * c_prev and i * g; h within 4 ULP, and what an error of c
    makes of it. Derivatives are computed from the gates, never from the activations, so that they
    keep their digits where a gate is as good as open or shut: within 4 ULP, those of h beside what
    an error of c makes of them, unless a slope is subnormal. Half types are computed in float32 and
    rounded once. No floating-point warnings. Contiguous arrays are used where they lie, others
    copied.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> gates, c = np.zeros((2, 12)), np.ones((2, 3))
    >>> h, c, saved = fastact.lstm_cell(gates, c)
    >>> c[0], h[0].round(4)
    (array([0.5, 0.5, 0.5]), array([0.2311, 0.2311, 0.2311]))

    A training loop allocates what it saves once, and needs its gates for one step only:

    >>> memory = np.empty((10, *saved.shape))
    >>> for step in range(10):
    ...     h, c, _ = fastact.lstm_cell(gates, c, out=(h, c), saved=memory[step])
    """
    call = _cells.Call("gates", gates, 4, axis)
    call.read("gates", gates, 4)
    call.read("c_prev", c_prev)
    h_out, c_out = _outputs(out, 2)
    call.write("out[0]", h_out)
    call.write("out[1]", c_out)
    if saved is False:
        h, c = call.run(_cells.LSTM_INFERENCE)
        return h, c, None
    call.write("saved", None if saved is True else saved, 6, call.working)
    h, c, kept = call.run(_cells.LSTM)
    return h, c, kept


def lstm_cell_backward(
    dh: ArrayLike,
    dc: ArrayLike,
    saved: NDArray[Any],
    *,
    out: tuple[NDArray[Any] | None, NDArray[Any] | None] | None = None,
    axis: int = -1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gradients of `lstm_cell` with respect to gates and c_prev.

    Parameters
    ----------
    dh, dc : array_like of float16, bfloat16, float32 or float64
        Gradients with respect to h and c, of shape (..., H); `dc` is taken in the dtype of `dh`. dh
        holds what comes from later layers and from the next step's gates, dc the next step's
        dc_prev (zeros at the last step).
    saved : ndarray
        What the step saved, of shape (..., 6H).
    out : tuple of ndarray, optional
        Where to put (dgates, dc_prev); of the dtype of `dh`. dc_prev may be `dc` or `dh`.
    axis : int, default -1
        As for `lstm_cell`.

    Returns
    -------
    dgates : ndarray
        Of shape (..., 4H) and the dtype of `dh`. Biases and inputs x @ w_x, which are added to the
        gates, have this gradient too.
    dc_prev : ndarray
        Of the shape and dtype of `dh`.

    Raises
    ------
    TypeError, ValueError
        As `lstm_cell`.

    Notes
    -----
    With t = dc + dh * dh/dc: dgates is (t * dc/da_i, t * dc/da_f, t * dc/da_g, dh * dh/da_o) and
    dc_prev = t * f. A product and a sum are all that is rounded here.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> _, _, saved = fastact.lstm_cell(np.zeros((2, 12)), np.ones((2, 3)))
    >>> dgates, dc_prev = fastact.lstm_cell_backward(np.zeros((2, 3)), np.ones((2, 3)), saved)
    >>> dgates[0, ::3], dc_prev[0]
    (array([0.  , 0.25, 0.5 , 0.  ]), array([0.5, 0.5, 0.5]))
    """
    call = _cells.Call("dh", dh, 1, axis)
    call.read("dh", dh)
    call.read("dc", dc)
    call.read("saved", saved, 6)
    dgates_out, dc_prev_out = _outputs(out, 2)
    call.write("out[0]", dgates_out, 4)
    call.write("out[1]", dc_prev_out)
    dgates, dc_prev = call.run(_cells.LSTM_BACKWARD)
    return dgates, dc_prev


def gru_cell(
    gates_x: ArrayLike,
    gates_h: ArrayLike,
    h_prev: ArrayLike,
    *,
    out: NDArray[Any] | None = None,
    saved: NDArray[Any] | bool = True,
    axis: int = -1,
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """A step of a gated recurrent unit, from its gates before their activations.

    With gates_x cut into x_r, x_z, x_n, and gates_h into h_r, h_z, h_n (reset, update, new:
    PyTorch's order, and its variant, which resets after the matrix product)::

        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = tanh(x_n + r * h_n)
        h = (1 - z) * n + z * h_prev

    Parameters
    ----------
    gates_x, gates_h : array_like of float16, bfloat16, float32 or float64
        What matrix products and biases gave, ``x @ w_x + b_x`` and ``h_prev @ w_h + b_h``, of
        shape (..., 3H). Integers become float64 (small ones float32). `gates_h` is taken in the
        dtype of `gates_x`, and so is
    h_prev : array_like
        The output before, of shape (..., H).
    out : ndarray, optional
        Where to put h; of the shape of `h_prev` and the dtype of `gates_x`. It may be `h_prev`,
        which the way back does not need but for the gradient of w_h.
    saved : ndarray or bool, default True
        Where to put `saved`, such as what an earlier call gave. False saves nothing, for
        inference, which is faster.
    axis : int, default -1
        The axis of the gates along which they follow each other.

    Returns
    -------
    h : ndarray
        The output, of the shape of `h_prev` and the dtype of `gates_x`.
    saved : ndarray or None
        All that `gru_cell_backward` needs, of shape (..., 5H): the partial derivatives of h with
        respect to x_r, x_z, x_n, h_n and h_prev (which is z); in float32 for half types.

    Raises
    ------
    TypeError
        For complex and object input, and if `out` or `saved` is no array.
    ValueError
        If `axis` is out of range (`numpy.exceptions.AxisError`), if a shape or a dtype does not
        fit, or if outputs share memory. Nothing has been written then.

    Notes
    -----
    r and z are those of the exact sums. h is within 4 ULP of the larger of (1 - z) * n and
    z * h_prev, beside what an error of 4 ULP of the larger of x_n and r * h_n makes of it; the
    derivatives likewise, unless a slope is subnormal. Half types are computed in float32 and
    rounded once. No floating-point warnings. Contiguous arrays are used where they lie, others
    copied.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> gates, h = np.zeros((2, 9)), np.ones((2, 3))
    >>> h, saved = fastact.gru_cell(gates, gates, h)
    >>> h[0]
    array([0.5, 0.5, 0.5])
    """
    call = _cells.Call("gates_x", gates_x, 3, axis)
    call.read("gates_x", gates_x, 3)
    call.read("gates_h", gates_h, 3)
    call.read("h_prev", h_prev)
    call.write("out", out)
    if saved is False:
        (h,) = call.run(_cells.GRU_INFERENCE)
        return h, None
    call.write("saved", None if saved is True else saved, 5, call.working)
    h, kept = call.run(_cells.GRU)
    return h, kept


def gru_cell_backward(
    dh: ArrayLike,
    saved: NDArray[Any],
    *,
    out: tuple[NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None] | None = None,
    axis: int = -1,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `gru_cell` with respect to gates_x, gates_h and h_prev.

    Parameters
    ----------
    dh : array_like of float16, bfloat16, float32 or float64
        Gradient with respect to h, of shape (..., H).
    saved : ndarray
        What the step saved, of shape (..., 5H).
    out : tuple of ndarray, optional
        Where to put (dgates_x, dgates_h, dh_prev); of the dtype of `dh`. dh_prev may be `dh`.
    axis : int, default -1
        As for `gru_cell`.

    Returns
    -------
    dgates_x, dgates_h : ndarray
        Of shape (..., 3H) and the dtype of `dh`. They differ in their last third.
    dh_prev : ndarray
        Of the shape and dtype of `dh`: what reaches h_prev directly. The rest comes through the
        matrix product, as ``dgates_h @ w_h.T``.

    Raises
    ------
    TypeError, ValueError
        As `gru_cell`.

    Notes
    -----
    Each is dh times a partial derivative, rounded once.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> gates = np.zeros((2, 9))
    >>> _, saved = fastact.gru_cell(gates, gates, np.ones((2, 3)))
    >>> dgates_x, dgates_h, dh_prev = fastact.gru_cell_backward(np.ones((2, 3)), saved)
    >>> dgates_x[0, ::3], dgates_h[0, ::3]
    (array([0.  , 0.25, 0.5 ]), array([0.  , 0.25, 0.25]))
    """
    call = _cells.Call("dh", dh, 1, axis)
    call.read("dh", dh)
    call.read("saved", saved, 5)
    dgates_x_out, dgates_h_out, dh_prev_out = _outputs(out, 3)
    call.write("out[0]", dgates_x_out, 3)
    call.write("out[1]", dgates_h_out, 3)
    call.write("out[2]", dh_prev_out)
    dgates_x, dgates_h, dh_prev = call.run(_cells.GRU_BACKWARD)
    return dgates_x, dgates_h, dh_prev


def _outputs(out: object, count: int) -> tuple[Any, ...]:
    if out is None:
        return (None,) * count
    if not isinstance(out, tuple) or len(out) != count:
        raise TypeError(f"out must be a tuple of {count} arrays")
    return out
