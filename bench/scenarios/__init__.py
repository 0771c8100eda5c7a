"""The scenarios, one module each: `measure(house, options)` starts its load against a running house and returns a Result.

`footprint` alone starts its own: it weighs `script/server`.
"""
