"""What those who have SciPy write instead, for the functions that SciPy has a primitive for."""

import math

import numpy as np
from scipy import special

from fastact.lab.idioms import forms


def sigmoid(x):
    return special.expit(x)


def sigmoid_derivative(x):
    s = special.expit(x)
    return s * (1 - s)


sigmoid_backward, sigmoid_with_derivative = forms(sigmoid, sigmoid_derivative)


def silu(x):
    return x * special.expit(x)


def silu_derivative(x):
    s = special.expit(x)
    return s * (1 + x * (1 - s))


silu_backward, silu_with_derivative = forms(silu, silu_derivative)


def log_sigmoid(x):
    return special.log_expit(x)


def log_sigmoid_derivative(x):
    return special.expit(-x)


log_sigmoid_backward, log_sigmoid_with_derivative = forms(log_sigmoid, log_sigmoid_derivative)


def gelu(x):
    return 0.5 * x * (1 + special.erf(x / math.sqrt(2)))


def gelu_derivative(x):
    cdf = 0.5 * (1 + special.erf(x / math.sqrt(2)))
    return cdf + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


gelu_backward, gelu_with_derivative = forms(gelu, gelu_derivative)


def softmax(x, axis=-1):
    return special.softmax(x, axis=axis)
