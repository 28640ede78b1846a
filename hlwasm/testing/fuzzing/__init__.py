"""Tests a component by calling it: generated scripts are run, judged and made small."""
