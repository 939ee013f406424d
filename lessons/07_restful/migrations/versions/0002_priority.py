"""A todo has a priority; that of the todos that were there before is normal."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("todo") as todo:  # SQLite makes the table anew
        todo.add_column(
            sa.Column("priority", sa.String(length=6), server_default="normal", nullable=False)
        )
        todo.create_check_constraint("ck_todo_priority", "priority IN ('low', 'normal', 'high')")


def downgrade():
    with op.batch_alter_table("todo") as todo:
        todo.drop_constraint("ck_todo_priority", type_="check")
        todo.drop_column("priority")
