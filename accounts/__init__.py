"""Who: users, devices, tokens, contacts, blocks and privacy settings. Knows no conversation."""
