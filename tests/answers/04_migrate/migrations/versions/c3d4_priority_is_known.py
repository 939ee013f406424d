"""No other priorities, and none without."""

from alembic import op

revision = "c3d4"
down_revision = "a1b2"


def upgrade():
    with op.batch_alter_table("todo", recreate="always") as todo:
        todo.alter_column("priority", nullable=False, server_default="normal")
        todo.create_check_constraint("todo_priority", "priority IN ('low', 'normal', 'high')")


def downgrade():
    with op.batch_alter_table("todo") as todo:
        todo.drop_constraint("todo_priority")
        todo.alter_column("priority", nullable=True, server_default=None)
