// The field for a scanner: what is scanned goes to the server wherever the focus is, but where somebody types something else.
const fields = new WeakMap()

class Field {
  constructor(root) {
    this.find = (name) => root.querySelector("." + name)
    this.guard = new KeyGuard()
    this.onScan = (event) => this.send(event.detail)
    this.onKey = (event) => this.key(event)
    document.addEventListener("kizu-scan", this.onScan)
    document.addEventListener("keydown", this.onKey)
    this.find("scan").onsubmit = (event) => {
      event.preventDefault()
      const text = this.find("scan-text").value.trim()
      this.find("scan-text").value = ""
      this.find("scan-text").blur() // from now on keys decide again
      if (text) this.send(text)
    }
  }

  close() {
    this.guard.close()
    document.removeEventListener("kizu-scan", this.onScan)
    document.removeEventListener("keydown", this.onKey)
  }

  show(data, send) {
    this.send = send
    this.find("scan-key").textContent = ownKeys().find.toUpperCase()
    this.find("scan-said").textContent = data.said ?? ""
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
    if (event.key === "Escape" && event.composedPath()[0] === this.find("scan-text")) return this.find("scan-text").blur()
    if (isTyping(event) || event.key.toLowerCase() !== ownKeys().find) return
    event.preventDefault()
    this.find("scan-text").focus()
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  speak(data)
  sayMarkup(parentElement)
  let field = fields.get(parentElement)
  if (!field) {
    field = new Field(parentElement)
    fields.set(parentElement, field)
  }
  field.show(data, (text) => setTriggerValue("scanned", text.slice(0, 200)))
  return () => {
    field.close()
    fields.delete(parentElement)
  }
}
