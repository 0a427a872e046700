"""The command ``fastact lab``: vanishing and exploding gradients, and what helps, in NumPy."""
