"""Real Chromium, real server: what people do and see."""
