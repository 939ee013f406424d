"""Members, visits, and whose a todo is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("called", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("member_pk")),
        sa.UniqueConstraint("called", name=op.f("member_called_uq")),
    )
    op.create_table(
        "visit",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("visit_pk")),
    )
    with op.batch_alter_table("todo", schema=None) as batch_op:
        batch_op.add_column(sa.Column("member_id", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("todo_member_id_ix"), ["member_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("todo_member_id_fk"), "member", ["member_id"], ["id"]
        )


def downgrade():
    with op.batch_alter_table("todo", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("todo_member_id_fk"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("todo_member_id_ix"))
        batch_op.drop_column("member_id")

    op.drop_table("visit")
    op.drop_table("member")
