"""Trust-region Newton methods, dense and bordered, that know points and nothing else; and the best few of many."""
