"""Measurements behind the decision records, to be repeated by `python -m bench.choices.bus` and so on.

Each prints the machine and one table; all variants run several times in the same run, and the median is shown.
"""
