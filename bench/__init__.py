"""`script/bench`: generates load, measures it and checks the result.

It uses the servers over the wire only; no product code imports it.
"""
