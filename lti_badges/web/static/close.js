// Tells the LMS that the registration is done; it closes this page.
"use strict";
(() => {
  const page = document.getElementById("registered");
  const close = () => {
    const opener = window.opener || (window.parent !== window ? window.parent : null);
    if (opener) opener.postMessage({ subject: page.dataset.subject }, page.dataset.origin);
  };
  page.querySelector("[data-close]").addEventListener("click", close);
  setTimeout(close, 20000);
})();
