// What the pages do beyond htmx: hand the token to plain forms, copy links, tell the frame's height.
"use strict";
(() => {
  const token = () => {
    const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
    return (headers.Authorization || "").replace("Bearer ", "");
  };

  // On a slow line a button is there before htmx is: its click is kept, and made once htmx listens.
  let ready = false;
  let early = null;
  document.addEventListener("click", (event) => {
    if (!ready) early = event.target.closest("[hx-get], [hx-post]") || early;
  }, true);
  document.addEventListener("htmx:load", () => {
    if (ready) return;
    ready = true;
    if (early) early.click();
  });

  document.addEventListener("submit", (event) => {
    const field = event.target.querySelector('input[name="access"]');
    if (field) field.value = token();
  });

  document.addEventListener("click", async (event) => {
    const target = event.target.closest("button, [data-dismiss]");
    if (!target) return;
    if (target.hasAttribute("data-dismiss")) target.closest(".alert").remove();
    if (target.hasAttribute("data-copy")) await copy(target);
    if (target.closest(".tabs")) {
      for (const tab of document.querySelectorAll(".tabs button")) tab.removeAttribute("aria-current");
      target.setAttribute("aria-current", "page");
    }
  });

  async function copy(button) {
    const text = button.dataset.copy;
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // A frame without clipboard permission: show the address, selected, to copy by hand.
      const field = document.createElement("input");
      field.readOnly = true;
      field.value = text;
      field.setAttribute("aria-label", "Link");
      button.replaceWith(field);
      field.select();
      return;
    }
    setTimeout(() => { button.textContent = said; }, 2000);
  }

  // A percentage only makes sense beside an item that is graded in points, marks beside one in
  // words, a number beside "at least … of these", a name beside a new badge.
  const fit = () => {
    for (const line of document.querySelectorAll(".line")) {
      const chosen = line.querySelector("select").selectedOptions[0];
      line.querySelector(".one-of").hidden = !(chosen && chosen.hasAttribute("data-worded"));
      line.querySelector(".at-least").hidden = !(chosen && (chosen.value === "" || chosen.hasAttribute("data-graded")));
    }
    for (const join of document.querySelectorAll("span.join")) {
      join.querySelector(".n").hidden = join.querySelector("select").value !== "n";
    }
    const made = document.getElementById("new-badge");
    if (made) {
      const chosen = document.querySelector('#rule input[name="achievement"]:checked');
      made.hidden = !(chosen && chosen.closest(".new"));
    }
  };
  document.addEventListener("change", fit);

  // The threshold in the histogram can be dragged and moved by keys; the field beside the condition
  // holds the value.
  const field = (plot) => document.querySelector(`#rule [name="${plot.dataset.field}"]`);
  const setThreshold = (plot, percent) => {
    const input = field(plot);
    if (!input) return;
    const value = Math.min(100, Math.max(1, Math.round(percent)));
    if (String(value) === input.value) return;
    input.value = String(value);
    for (const each of plot.querySelectorAll("[data-moves]")) each.setAttribute("transform", `translate(${value * 4} 0)`);
    plot.querySelector("[role=slider]").setAttribute("aria-valuenow", String(value));
    plot.querySelector(".threshold-label").textContent = `${value} %`;
    for (const bar of plot.querySelectorAll("rect[data-from]")) {
      bar.setAttribute("class", Number(bar.dataset.from) + 0.01 >= value ? "met" : "below");
    }
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  let dragged = null;
  const percentAt = (plot, event) => {
    const box = plot.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * 100;
  };
  document.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-field] [role=slider]");
    if (!handle) return;
    dragged = handle.closest("[data-field]");
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  document.addEventListener("pointermove", (event) => { if (dragged) setThreshold(dragged, percentAt(dragged, event)); });
  document.addEventListener("pointerup", () => { dragged = null; });
  document.addEventListener("keydown", (event) => {
    const handle = event.target.closest && event.target.closest("[data-field] [role=slider]");
    if (!handle) return;
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
    if (!step) return;
    event.preventDefault();
    const plot = handle.closest("[data-field]");
    setThreshold(plot, Number(field(plot).value.replace(",", ".")) + step);
  });

  const announce = (text) => {
    const place = document.getElementById("announce");
    if (!place) return;
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 50);
  };
  document.addEventListener("announce", (event) => announce(event.detail.value));

  // Narrow a long list while typing.
  document.addEventListener("input", (event) => {
    const list = event.target.dataset.filter;
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const each of document.querySelectorAll(list)) {
      each.hidden = !each.textContent.toLowerCase().includes(wanted) && !each.querySelector("input:checked");
    }
  });

  const resize = () => {
    if (window.parent === window) return;
    const height = Math.max(document.documentElement.offsetHeight, 480);
    window.parent.postMessage({ subject: "lti.frameResize", height }, "*");
  };

  document.addEventListener("htmx:beforeRequest", (event) => {
    // What the page asks by itself leaves what was said to the person alone.
    const asks = event.detail.elt && event.detail.elt.closest("[data-background]");
    if (!asks && event.detail.requestConfig && event.detail.requestConfig.verb !== "get") {
      const alert = document.getElementById("alert");
      if (alert) alert.replaceChildren();
    }
  });
  // A page in use gets its next token before the old one ends.
  document.addEventListener("htmx:afterRequest", (event) => {
    const next = event.detail.xhr && event.detail.xhr.getResponseHeader("X-Access-Token");
    if (next) document.body.setAttribute("hx-headers", JSON.stringify({ Authorization: `Bearer ${next}` }));
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    fit();
    resize();
    const target = event.detail.target;
    if (target && target.id === "main") {
      target.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    if (target && target.id === "conditions") {
      const made = document.querySelector("#conditions [data-focus]");
      if (made) { made.focus(); made.removeAttribute("data-focus"); }
      document.body.dispatchEvent(new Event("conditions"));
    }
    if (event.detail.target && event.detail.target.id === "alert") {
      event.detail.target.scrollIntoView({ block: "center" });
    }
  });
  document.addEventListener("htmx:sendError", () => {
    const alert = document.getElementById("alert");
    if (!alert) return;
    const box = document.createElement("div");
    box.className = "alert";
    const line = document.createElement("p");
    line.textContent = "The tool can’t be reached just now. Check your connection and try again.";
    box.append(line);
    alert.replaceChildren(box);
  });
  window.addEventListener("load", resize);
  // Morphing keeps what a person has typed or unfolded, whatever the answer says.
  if (window.Idiomorph) keepStates();
  else document.addEventListener("DOMContentLoaded", keepStates);
  function keepStates() {
    if (!window.Idiomorph) return;
    window.Idiomorph.defaults.ignoreActiveValue = true;
    window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.tagName === "DETAILS");
  }
  document.addEventListener("toggle", resize, true);
  document.addEventListener("DOMContentLoaded", fit);
})();
