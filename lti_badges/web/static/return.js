// Hands the signed answer back to the LMS.
"use strict";
document.getElementById("return").submit();
