"""What is unknown: bases, relations, priors on the coefficients, and the gauge that no image can tell.

A law holds structure, not mesh, equation or numbers. The same lines evaluate floats, arrays and UFL expressions.
"""
