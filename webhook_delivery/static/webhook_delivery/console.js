// Makes the console livelier where scripts may run; everything works without it.
//
// data-webhook-refresh="5"     is brought up to date every 5 s (empty: 15 s); needs an id
// data-webhook-stale           is shown while that does not succeed
// data-webhook-copy="<id>"     a button that copies the text of that element; hidden until we run;
//                              says data-webhook-copied, or data-webhook-selected if it could not
// time.webhook-time[datetime]  says how long ago that was, in the page's language

"use strict";

(() => {
  const USUAL_SECONDS = 15;
  const TICK_MILLISECONDS = 5000;
  const DAY = 86400;
  const UNITS = Object.entries({
    year: 365.25 * DAY, month: 30.44 * DAY, week: 7 * DAY, day: DAY, hour: 3600, minute: 60,
  });

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ── times

  const language = document.documentElement.lang || undefined;
  const words = "RelativeTimeFormat" in Intl && new Intl.RelativeTimeFormat(language);

  function tellTimes(root = document) {
    if (!words) return;
    for (const element of all("time.webhook-time[datetime]", root)) {
      const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
      // What is announced when it changes must not change with every tick.
      if (Number.isNaN(seconds) || element.closest("[aria-live]")) continue;
      const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) || ["second", 1];
      const said = words.format(Math.trunc(seconds / length), unit);
      if (element.textContent !== said) element.textContent = said;
    }
  }

  // ── copying

  function offerToCopy(root) {
    for (const button of all("[data-webhook-copy][hidden]", root)) {
      const said = document.createElement("span");
      said.className = "webhook-said";
      said.setAttribute("role", "status");
      button.after(said);
      button.hidden = false;
    }
  }

  async function copy(button) {
    const done = await copied(document.getElementById(button.dataset.webhookCopy));
    const { webhookCopied = "✓", webhookSelected = "" } = button.dataset;
    button.nextElementSibling.textContent = done ? webhookCopied : webhookSelected;
  }

  async function copied(source) {
    const text = "value" in source ? source.value : source.textContent;
    try {
      await navigator.clipboard.writeText(text); // there is no clipboard without HTTPS
      return true;
    } catch {
      if ("select" in source) source.select();
      else getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  }

  // ── keeping up to date

  const opened = new WeakMap(); // each <details>, as the server sent it
  const refreshed = () => all("[data-webhook-refresh][id]");

  function inUse(element) {
    const selection = getSelection();
    return (
      element.contains(document.activeElement) ||
      (!selection.isCollapsed && selection.containsNode(element, true)) ||
      all("details", element).some((each) => opened.get(each) !== each.open) ||
      all("input, textarea", element).some(
        (each) => each.value !== each.defaultValue || each.checked !== each.defaultChecked,
      )
    );
  }

  // What changes with every answer, or with every second, says nothing.
  function sense(element) {
    const copy = element.cloneNode(true);
    for (const each of all("time, .webhook-said", copy)) each.textContent = "";
    for (const each of all("input[type=hidden]", copy)) each.remove();
    return copy;
  }

  // What is announced stays the element that it is, and so is read out only if it has changed.
  function bring(old, fresh) {
    if (sense(old).isEqualNode(sense(fresh))) return;
    const [were, are] = [[...old.children], [...fresh.children]];
    const alike = were.length === are.length && were.every((each, n) => each.id === are[n].id);
    if (old.matches("[aria-live]")) old.replaceChildren(...fresh.childNodes);
    else if (old.querySelector("[aria-live]") && alike) were.forEach((each, n) => bring(each, are[n]));
    else old.replaceWith(fresh);
  }

  async function refresh() {
    const idle = refreshed().filter((element) => !inUse(element));
    if (document.hidden || !idle.length) return;
    const page = await fetched();
    for (const element of all("[data-webhook-stale]")) element.hidden = Boolean(page);
    for (const element of page ? idle : []) {
      const fresh = page.getElementById(element.id);
      if (!fresh || inUse(element)) continue;
      enliven(fresh);
      bring(element, fresh);
    }
  }

  async function fetched() {
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (!response.ok || response.redirected) return null; // signed out, perhaps
      return new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      return null;
    }
  }

  async function keepRefreshing() {
    const periods = refreshed().map((each) => Number(each.dataset.webhookRefresh) || USUAL_SECONDS);
    if (!periods.length) return;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(...periods)));
    await refresh();
    keepRefreshing();
  }

  function enliven(root) {
    for (const element of all("details", root)) opened.set(element, element.open);
    offerToCopy(root);
    tellTimes(root);
  }

  document.addEventListener("DOMContentLoaded", () => {
    enliven(document);
    keepRefreshing();
    setInterval(tellTimes, TICK_MILLISECONDS);
    document.addEventListener("visibilitychange", refresh);
    document.addEventListener("click", (event) => {
      if (event.target.matches("[data-webhook-copy]")) copy(event.target);
    });
  });
})();
