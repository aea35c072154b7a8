"""What an inversion found, as values and files: results, figures, states, and comparison of two results."""
