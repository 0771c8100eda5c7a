"""What the decision records compare, so that anybody can measure it again: `python -m bench.choices.bus` and its like.

Each prints the machine and one table; every variant runs in the same run, several times, and the median is shown.
"""
