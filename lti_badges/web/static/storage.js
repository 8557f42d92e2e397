// LTI Platform Storage: the LMS keeps a secret of the login for us where the browser keeps no cookie.
// All is said to, and taken from, the origin of the platform's own login address, and no other.
"use strict";
(() => {
  const WAIT = 1500;

  function frames(name) {
    const outer = window.parent !== window ? window.parent : window.opener;
    if (!outer) return [];
    const found = [outer];
    if (name && name !== "_parent") {
      try { if (outer.frames[name]) found.unshift(outer.frames[name]); } catch { /* another origin hides its frames */ }
    }
    return found;
  }

  // Asks each place in turn, by the standard's subject and by the one older platforms know.
  function ask(page, message) {
    const origin = page.dataset.origin;
    const places = origin ? frames(page.dataset.target) : [];
    const id = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
    return new Promise((resolve) => {
      const done = (answer) => { window.removeEventListener("message", listen); resolve(answer); };
      const listen = (event) => {
        const data = event.data;
        if (event.origin !== origin || !places.includes(event.source)) return;
        if (!data || typeof data !== "object" || data.message_id !== id || data.error) return;
        if (String(data.subject).endsWith(`${message.subject}.response`)) done(data);
      };
      window.addEventListener("message", listen);
      for (const place of places) {
        for (const prefix of ["", "org.imsglobal."]) {
          place.postMessage({ ...message, subject: prefix + message.subject, message_id: id }, origin);
        }
      }
      setTimeout(() => done(null), WAIT);
    });
  }

  const put = document.getElementById("storage-put");
  if (put) {
    ask(put, { subject: "lti.put_data", key: put.dataset.key, value: put.dataset.value })
      .then(() => location.replace(put.dataset.next));
  }

  const get = document.getElementById("storage-get");
  if (get) {
    ask(get, { subject: "lti.get_data", key: get.dataset.key }).then((answer) => {
      const form = document.getElementById("proof");
      if (answer && typeof answer.value === "string" && answer.value) {
        form.elements.secret.value = answer.value;
        form.submit();
      } else {
        get.querySelector("h1").textContent = "One more click";
        document.getElementById("fallback").hidden = false;
      }
    });
  }
})();
