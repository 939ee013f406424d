// What the site's theme does not do for these pages.

// A wide diagram is made smaller, but not so small that nobody can read it.
const SMALLEST = 0.5
if (window.mermaid) {
  const render = mermaid.render
  mermaid.render = async (...args) => {
    const drawn = await render(...args)
    const width = /max-width: ([\d.]+)px/
    const svg = drawn.svg.replace(width, (all, px) => `${all}; min-width: ${px * SMALLEST}px`)
    return { ...drawn, svg }
  }
}

// What is wider than the page is moved sideways with the keyboard too.
const reach = () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .mermaid")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
    else box.removeAttribute("tabindex")
  }
}
new MutationObserver(reach).observe(document.body, { childList: true, subtree: true })
window.addEventListener("resize", reach)
