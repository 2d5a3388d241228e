// Follows a job that is under way: its log by Server-Sent Events, and the facts that change meanwhile.
// The pages work without it: they have links to reload instead. Texts are inserted as text, never as HTML; the facts are
// a part of the page that the server has rendered and escaped.
"use strict";

(() => {
  const MOST_LINES = 5000;
  const FACTS_MS = 3000;
  const NEAR_END_PX = 40;

  for (const job of document.querySelectorAll("[data-job]")) {
    const log = job.querySelector("[data-follow]");
    if (log && "EventSource" in window) follow(job, log);
  }

  function follow(job, log) {
    const note = job.querySelector("[data-log-state]");
    let after = log.dataset.after;
    let source = null;
    let timer = null;
    let ended = false;
    let shownFacts = null;

    for (const one of job.querySelectorAll("[data-without-script]")) one.hidden = true;
    log.scrollTop = log.scrollHeight;
    document.addEventListener("visibilitychange", () => (document.hidden ? pause() : start()));
    if (!document.hidden) start();

    function start() {
      if (source || ended) return;
      source = new EventSource(`${log.dataset.follow}?after=${encodeURIComponent(after)}`);
      source.addEventListener("open", () => say("The log appears as it is written."));
      source.addEventListener("log", (event) => {
        after = event.lastEventId;
        const part = JSON.parse(event.data);
        if (part.dropped) append([`(${part.dropped} bytes are missing here)`]);
        append(part.text.replace(/\n$/, "").split("\n"));
      });
      source.addEventListener("end", end);
      source.addEventListener("error", () => {
        if (source.readyState !== EventSource.CLOSED) {
          say("The connection was lost; trying again.");
          return;
        }
        pause();
        say("The log cannot be followed now.", true);
      });
      timer = setInterval(showFacts, FACTS_MS);
      showFacts();
    }

    // A browser has few connections to one server: a page in the background gives its own back.
    function pause() {
      source?.close();
      source = null;
      clearInterval(timer);
    }

    async function end() {
      pause();
      ended = true;
      for (const one of job.querySelectorAll("[data-while-active]")) one.hidden = true;
      await showFacts();
      say("This is all of the log.", "active" in log.dataset);
    }

    function append(lines) {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
      const added = document.createDocumentFragment();
      for (const line of lines) {
        const code = document.createElement("code");
        code.textContent = line;
        added.append(code);
      }
      log.append(added);
      while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    }

    async function showFacts() {
      try {
        const answer = await fetch(job.dataset.facts);
        if (!answer.ok) return;
        const html = await answer.text();
        if (html !== shownFacts) job.querySelector("[data-job-facts]").innerHTML = shownFacts = html;
      } catch {
        // The server does not answer; the log's connection says so, and the next try follows.
      }
    }

    function say(text, reload = false) {
      note.textContent = text;
      if (!reload) return;
      const link = document.createElement("a");
      link.href = "";
      link.textContent = "Reload the page";
      note.append(" ", link, " to see what can be done now.");
    }
  }
})();
