"""Mutation testing of what decides what is recorded: ``make mutate``.

mutmut makes the mutants (and two kinds of our own through its visitor, see ``mutants.py``);
cosmic-ray was tried beside it. Its operators make eleven mutants of each ``X | None`` of an
annotation and six of each ``is``, nearly all of them equivalent, and none of arguments, strings or
assignments, which is what this code consists of; to walk the tree anew for each pair of operators
is slow. mutmut's own runner was not taken: it rewrites each function into a trampoline, which the
tests that look at functions, seams and frames would see, and knows of no sample, no time share and
no tests that start programs.

So a mutant is a changed file in a copy of the tree (``trees.py``). Beside each of two copies waits
a process that has imported all but tokentrail; it forks for each mutant and runs pytest there, on
the tests that could notice it, until one fails (``worker.py``): those of files that import what was
changed first, then the narrowest that pass the line; 25 s of a core at most. Which test passes
which line is measured by coverage's contexts once for each test file and kept (``measure.py``,
``contexts.py``): of each parametrised test four cases, two fifths of all, in about 250 s of a core.
A verdict is kept too, until its file or the tests that decided it change (``results.py``).

``scope.py`` is the one list of what is mutated, with the seed and the bar; ``equivalent.json`` has
what is set aside, and why.
"""
