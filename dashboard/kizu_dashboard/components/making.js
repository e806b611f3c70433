// All text goes in as text: what stands in a file name or a database never becomes markup.
function make(tag, className, text) {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (text !== undefined && text !== null) element.textContent = text
  return element
}

// A picture that is fetched when it comes near the screen, or a word where there is none.
function pictureOr(address, className) {
  if (!address) return make("span", className, say("no picture"))
  const image = make("img", className)
  image.loading = "lazy"
  image.alt = ""
  image.onerror = () => image.replaceWith(make("span", className, say("picture missing")))
  image.src = address
  return image
}

// With a key held, or the middle button, a link opens a new tab as everywhere else; a plain click opens the part here.
function openedHere(event, open) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  open()
}
