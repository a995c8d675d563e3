"""The report of a review, as its server gives it."""

from http import HTTPStatus
from pathlib import Path

from tests.processes import wait_until
from tests.reporting.reports import images, words
from tests.review.served import reviewing


def test_the_report_follows_the_edits_and_the_result(tmp_path: Path) -> None:
    with reviewing(tmp_path) as client:
        status, body, headers = client.send("/api/reviews/0/report")
        assert (status, headers["Content-Type"]) == (HTTPStatus.OK, "text/html; charset=utf-8")
        assert "script" not in headers["Content-Security-Policy"]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:")
        assert headers["Cache-Control"] == "no-store"
        page = body.decode("utf-8")
        assert "<strong>Review required</strong>" in page
        assert images(page)
        target = {"track": 2}
        assert client.edit(0, operation="confirm", target=target, after=True)[0] == 201
        assert client.send("/api/reviews/0/render", {})[0] == HTTPStatus.ACCEPTED
        wait_until(lambda: client.get("/render")["state"] == "done")
        page = client.send("/api/reviews/0/report")[1].decode("utf-8")
        assert "<strong>Done</strong>" in page
        assert "Ann Confirmed the decision about" in " ".join(words(page).split())
        assert "Result: clip.hidden.mp4" in page
        client.edit(1, operation="decide", target={"track": 3}, after="blur")
        page = client.send("/api/reviews/0/report")[1].decode("utf-8")
        assert "50 frames must be hidden in another way since" in page
