// What the LMS does for tools in frames: keep data (LTI Platform Storage) and fit their height.
"use strict";
(() => {
  const kept = new Map();
  window.addEventListener("message", (event) => {
    const data = event.data;
    if (!data || typeof data !== "object" || typeof data.subject !== "string") return;
    const subject = data.subject.replace("org.imsglobal.", "");
    const answer = (more) => event.source.postMessage({ subject: `${data.subject}.response`, message_id: data.message_id, ...more }, event.origin);
    if (subject === "lti.capabilities") {
      answer({ supported_messages: ["lti.capabilities", "lti.put_data", "lti.get_data", "lti.frameResize"].map((each) => ({ subject: each, frame: window.name || undefined })) });
    } else if (subject === "lti.put_data") {
      kept.set(`${event.origin} ${data.key}`, data.value);
      answer({ key: data.key, value: data.value });
    } else if (subject === "lti.get_data") {
      answer({ key: data.key, value: kept.get(`${event.origin} ${data.key}`) });
    } else if (subject === "lti.frameResize") {
      const frame = document.getElementById("tool");
      if (frame && frame.contentWindow === event.source) frame.height = Math.min(Math.max(Number(data.height) || 0, 400), 5000);
    }
  });
})();
