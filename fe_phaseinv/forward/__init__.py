"""Laws and a start in, fields at the frame times out: steps, time grids, sweeps for derivatives, and the tape."""
