"""Helpers that every layer uses and that know no layer: guard, forks, cheap records."""
