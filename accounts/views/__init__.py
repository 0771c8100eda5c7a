"""REST routes of accounts. Each view reads the body, makes one call and writes the answer."""
