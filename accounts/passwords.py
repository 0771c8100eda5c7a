"""Password hashing: Argon2id with OWASP's parameters (19 MiB, two passes, one lane).

Django's default takes 100 MB for a hash: eight concurrent sign-ins would need more memory than all else together.
"""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """The hasher of `settings.PASSWORD_HASHERS`. Django renews hashes with other parameters at the next sign-in."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
