"""How passwords are hashed: Argon2id by OWASP's figures (19 MiB, two passes, one lane).

Django's own figures take 100 MB a hash: eight people signing in at once would take more memory than all else together.
"""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """`settings.PASSWORD_HASHERS` names it; hashes by other figures are renewed at the next sign-in."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
