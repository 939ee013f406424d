"""What a page costs with a million todos, beside the same page with a thousand; and /stats."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from timing import medians, report

ROOT = Path(__file__).resolve().parent.parent
FEW, MANY = 1_000, 1_000_000
ANNS = 500  # of Ann's todos, among few and among many

os.environ["APP_ENV"] = "development"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "lesson")
        shutil.copytree(ROOT / "solutions" / "07_restful", folder)
        sys.path.insert(0, str(folder))
        few, many = (browsers(folder, number) for number in (FEW, MANY))
        pages(few, many)
        stats(*many)


def browsers(folder: Path, number: int) -> tuple:
    """Return an app with as many todos, a guest's browser and Ann's."""
    import sqlalchemy as sa

    from App import create_app
    from App.ext import db
    from App.models import Todo, User

    app = create_app(
        {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder}/{number}.db",
            "CACHE_DIR": f"{folder}/{number}.cache",
        }
    )
    app.add_url_rule("/empty", view_func=lambda: "")
    app.testing = True
    with app.app_context():
        db.create_all()
        ann = User.register("Ann", "correct horse")
        for _ in Todo.seed(number):
            pass
        # Ann's are spread among the others.
        db.session.execute(
            sa.update(Todo).where(Todo.id % (number // ANNS) == 0).values(owner_id=ann.id)
        )
        db.session.commit()
        assert db.session.scalar(sa.select(sa.func.count()).where(Todo.owner_id == ann.id)) == ANNS
    guest, anns = app.test_client(), app.test_client()
    anns.post("/login", data={"name": "Ann", "password": "correct horse"})
    return app, guest, anns


def get(browser, path: str) -> None:
    response = browser.get(path)
    assert response.status_code == 200, response.status


def todos_on(browser, path: str) -> int:
    return browser.get(path).text.count("<li>")


def pages(few: tuple, many: tuple) -> None:
    for name, who, path in (
        ("first page", 1, "/todos"),
        ("last page", 1, "/todos?after=0"),
        ("a page between", 1, "/todos?before={middle}"),
        ("Ann's first page", 2, "/todos"),
        ("Ann's last page", 2, "/todos?after=0"),
        ("search among Ann's, 20 found", 2, "/todos?q=todo"),
        ("search among Ann's, none found", 2, "/todos?q=zebra"),
    ):
        small, large = path.format(middle=FEW // 2), path.format(middle=MANY // 2)
        assert todos_on(few[who], small) == todos_on(many[who], large)
        found = medians(200, few=partial(get, few[who], small), many=partial(get, many[who], large))
        report(f"{name}, {MANY:,} todos", found["many"], found["few"], f"with {FEW:,}")


def stats(app, guest, anns) -> None:
    from App.ext import cache

    def miss() -> None:
        with app.app_context():
            cache.clear()
        assert guest.get("/stats").headers["X-Cache"] == "miss"

    def hit() -> None:
        assert guest.get("/stats").headers["X-Cache"] == "hit"

    missed = medians(5, miss=miss)["miss"]
    hit()
    found = medians(200, hit=hit, empty=partial(get, guest, "/empty"))
    report(f"/stats, {MANY:,} todos, a miss", missed, found["hit"], "a hit")
    report("/stats, a hit", found["hit"], found["empty"], "an empty view")


if __name__ == "__main__":
    main()
