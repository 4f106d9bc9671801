/* Tells the reader of a status page that the page has news. The page works without it.
   It asks for the same page again while the tab is seen, compares the part marked data-live,
   and fills the role=status line; it never reloads, moves or changes anything else. */
(function () {
  "use strict";

  var line = document.querySelector("[data-live-line]");
  var live = document.querySelector("[data-live]");
  if (!line || !live || !window.fetch) { return; }

  var shown = live.textContent;
  var seconds = Number(line.dataset.every) || 30;

  function look() {
    if (document.hidden) { wait(); return; }
    fetch(location.href, { cache: "no-store", credentials: "same-origin", headers: { Accept: "text/html" } })
      .then(function (answer) { return answer.ok ? answer.text() : ""; })
      .then(function (text) {
        var page = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live]");
        if (page && page.textContent !== shown) {
          line.textContent = line.dataset.news;
        } else {
          wait();
        }
      })
      .catch(wait);
  }

  function wait() { setTimeout(look, seconds * 1000); }

  wait();
})();
