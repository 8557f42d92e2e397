// The console's ticket stands behind the #, where no server sees it; hand it over, then forget it.
"use strict";
(() => {
  const ticket = location.hash.replace(/^#/, "");
  if (!ticket) return;
  history.replaceState(null, "", location.pathname);
  const form = document.getElementById("sign-in");
  form.elements.ticket.value = ticket;
  document.getElementById("how").hidden = true;
  form.hidden = false;
  form.submit();
})();
