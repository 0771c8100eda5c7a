"""The boundary between sockets and rules: bytes in, frames out. It knows no table and no rule."""
