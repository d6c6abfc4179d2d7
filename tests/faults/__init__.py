"""Proof under fire: a random load, faults thrown at it, and a checker that compares what was promised with what is.

`journal` writes down every operation that was issued and every answer that came back, `load` issues them, `checker`
reads one consistent snapshot and says what disagrees. Each test throws one kind of fault; each has a negative control,
in which a guard is taken away and the checker has to say so.
"""
