// What each strip shows now, so that a rerun without news leaves the pictures alone.
const drawn = new WeakMap()

function card(part, open) {
  const link = make("a", "part")
  link.href = `/part?uid=${encodeURIComponent(part.uid)}`
  link.dataset.uid = part.uid
  link.title = `${part.name}: ${part.about}`
  link.append(pictureOr(part.thumbnail, "thumb"), make("span", "name", part.name), make("span", "about", part.about))
  link.onclick = (event) => openedHere(event, () => open(part.uid))
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
