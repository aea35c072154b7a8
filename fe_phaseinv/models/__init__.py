"""The physics: weak forms of equations whose laws are learnt, in UFL.

Allen-Cahn, its driven reaction, Cahn-Hilliard, with coherency strain and for chain molecules (Flory-Huggins), and the
phase-field crystal.
"""
