"""Delivered and seen: marks of devices, receipts to the others, and the log of both."""
