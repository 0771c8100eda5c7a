"""Load, measured and checked: `script/bench`. Talks to the servers over the wire alone; nothing of the product imports it."""
