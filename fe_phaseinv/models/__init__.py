"""Models: the weak forms of equations whose laws are learnt."""
