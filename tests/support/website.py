"""The website: pages on an origin that is not the service's, in the markups that forms come in."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

WEBFLOW = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Clinic</title>
<style>.w-form-done, .w-form-fail {{ display: none }}</style>
<script src="{service}/lead-form.js" defer {script}></script><script src="/webflow.js" defer></script></head><body>
<div class="form-block w-form"><form id="wf-form-Get-In-Touch" name="wf-form-Get-In-Touch" data-name="Get In Touch"
 method="post" action="{service}/f/get-in-touch" aria-label="Get In Touch" {form}>
<label for="name">Name</label><input class="w-input" name="name" data-name="Name" type="text" id="name" required>
<label for="phone">Phone</label><input class="w-input" name="phone" data-name="Phone" type="tel" id="phone" required>
<p data-phone-status></p>
<label for="email">Email</label><input class="w-input" name="email" data-name="Email" type="email" id="email">
<label for="message">Message</label><textarea class="w-input" name="message" id="message"></textarea>
{more}<input type="submit" data-wait="Please wait..." class="w-button" value="Submit"></form>
<div class="w-form-done" tabindex="-1" role="region"><div>The clinic thanks you.</div></div>
<div class="w-form-fail" tabindex="-1" role="region"><div>The clinic is sorry.</div></div></div></body></html>"""

PLAIN = """<!doctype html><html lang="en"><title>Plain</title>
<form action="{service}/f/get-in-touch" method="post" {form}>
  <label>Name <input name="name" required></label>
  <label>Phone <input name="phone" type="tel" required></label>
  <label>Message <textarea name="message"></textarea></label>
  {more}<button>Submit</button>
</form>
<script src="{service}/lead-form.js" defer {script}></script></html>"""

# As webflow.js does: one listener at the document, which takes every form of a `.w-form`.
WEBFLOW_JS = """document.addEventListener("submit", (event) => {
  if (event.target.closest(".w-form")) { event.preventDefault(); document.body.dataset.webflow = "took it"; }
});"""


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered at one path."""

    body: str
    kind: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Site:
    """A web server whose pages a test puts there; `url` is its origin, another one than the service's."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.pages: dict[str, Page] = {}
        pages = self.pages

        class Answer(BaseHTTPRequestHandler):
            wbufsize = -1  # one write for head and body

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0], Page("", "image/x-icon"))
                body = page.body.encode()
                self.send_response(200)
                self.send_header("Content-Type", page.kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in page.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.put("/webflow.js", WEBFLOW_JS, "text/javascript")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, body: str, kind: str = "text/html; charset=utf-8", **headers: str) -> str:
        """Have something answered at a path; return its address."""
        self.pages[path] = Page(body, kind, {name.replace("_", "-"): value for name, value in headers.items()})
        return f"{self.url}{path}"

    def page(self, markup: str, *, form: str = "", script: str = "", more: str = "", **headers: str) -> str:
        """Put a page with a form; `form` and `script` are attributes, `more` is markup inside the form."""
        return self.put("/contact", markup.format(service=self.service, form=form, script=script, more=more), **headers)
