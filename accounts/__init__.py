"""Users, devices, tokens, contacts, blocks and privacy settings. Knows nothing of conversations."""
