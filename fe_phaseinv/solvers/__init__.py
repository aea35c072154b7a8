"""Linear algebra of one step: factors, Krylov methods and their preconditioners, and nonlocal kernels."""
