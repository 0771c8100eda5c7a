"""REST routes of accounts: each reads its body, makes one call and writes the answer."""
