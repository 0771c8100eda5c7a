"""The boundary: bytes in, frames out. Knows no table and no rule."""
