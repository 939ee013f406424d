"""A todo may have an order, by which programs sort."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("todo") as todo:
        todo.add_column(sa.Column("order", sa.Integer(), nullable=True))


def downgrade():
    with op.batch_alter_table("todo") as todo:
        todo.drop_column("order")
