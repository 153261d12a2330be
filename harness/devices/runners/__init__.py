"""How to drive one benchmark executable: its flags and its output."""

# Warm-up, iterations, and the rest: each phase may take this part of a launch's time-out.
PHASES = 3
