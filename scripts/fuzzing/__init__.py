"""A seeded fuzz campaign: mutants of files that the program made are opened in children with limits.

`seeds` makes the originals by code, `mutations` damages copies of them, `probe` is the child that opens one
after the other, `campaign` runs children, assesses what they answer and counts.
"""
