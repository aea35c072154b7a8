"""Trust-region Newton methods, dense and bordered: they know points and nothing else."""
