"""Measurements of hlwasm, side by side with what it is compared to, in one run.

``python -m benchmarks`` (or ``make bench``) prints a table and writes
``benchmarks/results/latest.json``. See ``README.md`` here for the method.
"""
