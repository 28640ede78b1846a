"""Sequences of calls as data and as text: generated, made smaller, shown, read and run."""
