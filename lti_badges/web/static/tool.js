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

  // A percentage only makes sense beside an item that is graded in points, marks beside one in words.
  const percentages = () => {
    for (const line of document.querySelectorAll(".line")) {
      const chosen = line.querySelector("select").selectedOptions[0];
      line.querySelector(".one-of").hidden = !(chosen && chosen.hasAttribute("data-worded"));
      line.querySelector(".at-least").hidden = !(chosen && (chosen.value === "" || chosen.hasAttribute("data-graded")));
    }
  };
  document.addEventListener("change", percentages);

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
    if (event.detail.requestConfig && event.detail.requestConfig.verb !== "get") {
      const alert = document.getElementById("alert");
      if (alert) alert.replaceChildren();
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    percentages();
    resize();
    if (event.detail.target && event.detail.target.id === "main") {
      event.detail.target.focus({ preventScroll: true });
      window.scrollTo(0, 0);
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
  document.addEventListener("toggle", resize, true);
  document.addEventListener("DOMContentLoaded", percentages);
})();
