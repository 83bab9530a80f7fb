"""``tokentrail run``: another program's calls, a row for each as it ends, and a summary.

In the program (``hooks``, ``observer``) each ended span of a call becomes a line of a file; the
process that started it (``supervisor``) reads the file and shows what is there (``display``).
"""
