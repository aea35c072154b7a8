"""The physics: weak forms of equations whose laws are learnt, in UFL."""
