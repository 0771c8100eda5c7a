"""Delivered and seen: marks, and what others learn of them."""
