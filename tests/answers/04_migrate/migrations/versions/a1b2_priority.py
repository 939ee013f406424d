"""A priority for each todo."""

import sqlalchemy as sa
from alembic import op

revision = "a1b2"
down_revision = "3f0c"


def upgrade():
    op.add_column("todo", sa.Column("priority", sa.String(6)))
    op.execute("UPDATE todo SET priority = 'normal'")


def downgrade():
    with op.batch_alter_table("todo") as todo:
        todo.drop_column("priority")
