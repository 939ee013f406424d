"""A user, whose password is known to nobody else."""

NAME_LENGTH = 40

# TODO 5.4: Write the model User: `id`, `name` (unique, NAME_LENGTH at most) and `password_hash`
#   (200 at most). User.register(name, password) adds one and returns it, or raises ValueError: for
#   a name that clean() refuses or someone has, and a password that has not 8 to 200 characters.


# TODO 5.5: User.get(user_id) returns the user, or None, also where the id is None, which SQLAlchemy
#   would warn of. User.with_password(name, password) as well, of the trimmed name; it must take as
#   long for a name that nobody has, and NOBODY is a hash to compare with then.
NOBODY = (
    "scrypt:32768:8:1$AmzWyiiVIpQrOyHt$"
    "129083d0af69d2b95db1713ce1407439064e0ec9065d11dbc50938cbc42b9f13"
    "319d2d5489cd6abc2933a8e3dcb695034502fb6d1806123179cec1ccdf528845"
)
"""The hash of a password that nobody has."""
