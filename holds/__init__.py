"""What must be kept: legal holds. Every sweep, purge and deletion asks it; knows no conversation and no message."""
