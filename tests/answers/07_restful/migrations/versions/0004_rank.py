"""A todo has a rank."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("todo", sa.Column("rank", sa.Integer(), nullable=True))


def downgrade():
    op.drop_column("todo", "rank")
