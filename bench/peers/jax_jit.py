"""Compiled by jax: its own functions and their vector-Jacobian products, or a formula's."""

from functools import cache, partial

import jax
from jax import nn
from jax import numpy as jnp
from jax.scipy import special

from bench.peers import formulas
from fastact._formula import ELEMENTARY
from fastact.lab.from_table import functions

jax.config.update("jax_enable_x64", True)

FUNCTIONS = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "selu": nn.selu,
    "sigmoid": nn.sigmoid,
    "tanh": jnp.tanh,
    "gelu": partial(nn.gelu, approximate=False),
    "gelu_tanh": partial(nn.gelu, approximate=True),
    "silu": nn.silu,
    "softplus": nn.softplus,
    "log_sigmoid": nn.log_sigmoid,
    "mish": nn.mish,
    "celu": nn.celu,
    "identity": jnp.copy,
    "relu6": nn.relu6,
    "hardtanh": nn.hard_tanh,
    "hard_sigmoid": nn.hard_sigmoid,
    "hard_swish": nn.hard_swish,
    "softsign": nn.soft_sign,
    "squareplus": nn.squareplus,
    "sparse_plus": nn.sparse_plus,
    "sparse_sigmoid": nn.sparse_sigmoid,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log1p": jnp.log1p,
    "logit": special.logit,
    "erf": special.erf,
    "erfc": special.erfc,
}
NAMESPACE = {
    name: getattr(special if name in ("erf", "erfc") else jnp, name)
    for name in (*ELEMENTARY - {"max", "min"}, "where")
}


def calls(cell, arrays, out):
    f = jitted(cell.function)
    device = [jax.dlpack.from_dlpack(array) for array in arrays]
    jax.block_until_ready(device)

    def call():
        return jax.block_until_ready(f(*device))

    return {"": call}


@cache
def jitted(name):
    op, form = functions()[name]
    if op.name not in FUNCTIONS:
        f = formulas.function(name, NAMESPACE)  # whose constants know no dtype
        return jax.jit(lambda *a: jax.tree.map(lambda y: y.astype(a[-1].dtype), f(*a)))
    return jax.jit(partial(FORMS[form.name], FUNCTIONS[op.name]))


def forward(f, x):
    return f(x)


def with_derivative(f, x):
    value, pull_back = jax.vjp(f, x)
    return value, pull_back(jnp.ones_like(value))[0]


def derivative(f, x):
    return with_derivative(f, x)[1]


def backward(f, grad, x):
    return jax.vjp(f, x)[1](grad)[0]


FORMS = {f.__name__: f for f in (forward, derivative, backward, with_derivative)}
