"""Load and age: what minutes of hard use do to a program that tokentrail instruments."""
