// What is said in the reader's language: the server sends the texts by their English, and none for English itself.
let texts = {}

// The texts that this component's data brought.
function speak(data) {
  texts = data.texts
}

// The text with what belongs into its {named} places.
function say(text, named = {}) {
  return (texts[text] ?? text).replace(/\{(\w+)\}/g, (place, name) => named[name] ?? place)
}

// The component's own markup, once: what comes into it later was said already.
const said = new WeakSet()
function sayMarkup(root) {
  if (said.has(root)) return
  said.add(root)
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode
    if (node.parentElement?.closest("kbd, style, script")) continue
    const text = node.textContent.trim()
    if (texts[text]) node.textContent = node.textContent.replace(text, () => texts[text])
  }
  for (const name of ["alt", "aria-label", "placeholder", "title"]) {
    for (const element of root.querySelectorAll(`[${name}]`)) {
      const text = element.getAttribute(name)
      if (texts[text]) element.setAttribute(name, texts[text])
    }
  }
}
