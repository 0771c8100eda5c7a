"""The scenarios, one module each: `measure(parley, options)` starts its load against a running parley and returns a Result.

`footprint` alone starts its own: it weighs `script/server`.
"""
