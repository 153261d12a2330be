// What a keyboard and a screen reader need of what the theme makes in the browser: a wide table can
// be scrolled with the arrow keys, and the copy button of a code block is not a landmark.
function mend() {
  for (const nav of document.querySelectorAll(".md-code__nav")) nav.setAttribute("role", "none");
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) wrap.tabIndex = 0;
}
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
