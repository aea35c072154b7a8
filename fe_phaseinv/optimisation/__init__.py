"""Trust-region Newton methods, dense and by conjugate gradients: they know points and nothing else."""
