"""The scenarios, one module each: `measure(parley, options)` puts its load on running servers and returns a Result.

`footprint` starts `script/server` itself and measures that.
"""
