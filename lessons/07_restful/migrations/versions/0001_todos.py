"""Todos, as lesson 3's create_db made them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "todo",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "title = trim(title) AND length(title) BETWEEN 1 AND 200", name="ck_todo_title"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_todo")),
    )


def downgrade():
    op.drop_table("todo")
