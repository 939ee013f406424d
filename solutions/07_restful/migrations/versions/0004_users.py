"""Users, and an owner for a todo; the todos from before are the guest board's."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )
    with op.batch_alter_table("todo") as todo:
        todo.add_column(sa.Column("owner_id", sa.Integer(), nullable=True))
        todo.create_foreign_key(op.f("fk_todo_owner_id"), "user", ["owner_id"], ["id"])
        todo.create_index("ix_todo_owner_id_id", ["owner_id", "id"])


def downgrade():
    # Everyone's todos stay. They are on the one list that everyone sees, as all were before.
    with op.batch_alter_table("todo") as todo:
        todo.drop_index("ix_todo_owner_id_id")
        todo.drop_constraint(op.f("fk_todo_owner_id"), type_="foreignkey")
        todo.drop_column("owner_id")
    op.drop_table("user")
