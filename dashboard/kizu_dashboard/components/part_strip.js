// What each strip shows now, so that a rerun without news leaves the pictures alone.
const drawn = new WeakMap()

// All text goes in as text: what stands in a file name or a database never becomes markup.
function make(tag, className, text) {
  const element = document.createElement(tag)
  element.className = className
  if (text !== undefined) element.textContent = text
  return element
}

function picture(part) {
  if (!part.thumbnail) return make("span", "thumb", say("no picture"))
  const image = make("img", "thumb")
  image.loading = "lazy"
  image.alt = ""
  image.onerror = () => image.replaceWith(make("span", "thumb", say("picture missing")))
  image.src = part.thumbnail
  return image
}

function card(part, open) {
  const link = make("a", "part")
  link.href = `/part?uid=${encodeURIComponent(part.uid)}`
  link.dataset.uid = part.uid
  link.title = `${part.name}: ${part.about}`
  link.append(picture(part), make("span", "name", part.name), make("span", "about", part.about))
  link.onclick = (event) => {
    // With a key held, or the middle button, the link opens a new tab as everywhere else.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    open(part.uid)
  }
  return link
}

export default function ({ data, parentElement, setTriggerValue }) {
  speak(data)
  const strip = parentElement.querySelector(".strip")
  const text = JSON.stringify(data.parts)
  if (drawn.get(strip) === text) return
  drawn.set(strip, text)
  strip.replaceChildren(...data.parts.map((part) => card(part, (uid) => setTriggerValue("opened", uid))))
}
