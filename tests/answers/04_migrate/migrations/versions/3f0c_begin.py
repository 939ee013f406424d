"""What there was before there were migrations."""

from alembic import op

revision = "3f0c"
down_revision: str | None = None


def upgrade():
    op.execute("""
        CREATE TABLE todo (
            id INTEGER NOT NULL PRIMARY KEY,
            title VARCHAR(200) NOT NULL,
            completed BOOLEAN NOT NULL,
            created_at DATETIME NOT NULL,
            CONSTRAINT ck_todo_title CHECK (title = trim(title) AND length(title) BETWEEN 1 AND 200)
        )
    """)


def downgrade():
    op.execute("DROP TABLE todo")
