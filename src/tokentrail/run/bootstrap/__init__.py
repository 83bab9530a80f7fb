"""The folder that ``tokentrail run`` puts on the path of a program."""
