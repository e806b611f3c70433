// The blink comparator: while key B is held, or its switch is on, what the part is compared with lies where the photo was.
const BESIDE_DWELL_MS = 400 // who decides faster does not compare, and costs the server nothing

class Beside {
  constructor(viewer) {
    this.viewer = viewer
    this.picture = viewer.find("beside-picture")
    this.toggle = viewer.find("show-beside")
    this.offers = []
    this.held = false
    this.toggle.onchange = () => {
      this.fetch()
      this.draw()
    }
    this.picture.onload = () => this.state("ready")
    this.picture.onerror = () => this.next()
    this.onDown = (event) => {
      if (meant(event).toLowerCase() !== "b" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return
      this.hold(true)
    }
    this.onUp = (event) => meant(event).toLowerCase() === "b" && this.hold(false)
    this.onBlur = () => this.hold(false) // the key comes up in another window
    document.addEventListener("keydown", this.onDown)
    document.addEventListener("keyup", this.onUp)
    window.addEventListener("blur", this.onBlur)
  }

  close() {
    clearTimeout(this.waiting)
    document.removeEventListener("keydown", this.onDown)
    document.removeEventListener("keyup", this.onUp)
    window.removeEventListener("blur", this.onBlur)
  }

  // Another part: what belongs to the one before goes at once, and the photo comes first.
  begin(offers) {
    clearTimeout(this.waiting)
    this.offers = [...(offers ?? [])]
    this.toggle.checked = false
    this.picture.removeAttribute("src")
    this.state(this.offers.length ? "waiting" : "none")
  }

  // Ahead of the key, once the photo was looked at for a moment.
  fetchSoon() {
    clearTimeout(this.waiting)
    this.waiting = setTimeout(() => this.fetch(), BESIDE_DWELL_MS)
  }

  fetch() {
    if (this.offers.length && !this.picture.hasAttribute("src")) this.picture.src = this.offers[0].address
  }

  next() {
    if (!this.picture.hasAttribute("src")) return
    this.offers.shift()
    this.picture.removeAttribute("src")
    this.state(this.offers.length ? "waiting" : "none")
    this.fetch()
  }

  state(name) {
    this.viewer.stage.dataset.beside = name
    this.draw()
  }

  hold(held) {
    this.held = held
    if (held) this.fetch()
    this.draw()
  }

  get ready() {
    return this.viewer.stage.dataset.beside === "ready"
  }

  get shows() {
    return this.ready && (this.held || this.toggle.checked)
  }

  draw() {
    const none = this.viewer.stage.dataset.beside === "none"
    this.toggle.disabled = none
    this.toggle.parentElement.title = none
      ? say("Nothing to compare with: no reference, and no good part of this view with a kept picture")
      : say("Show what the part is compared with in the photo's place (hold key B)")
    this.picture.hidden = !this.shows
    const words = this.viewer.find("beside-words")
    words.hidden = !(this.held || this.toggle.checked)
    words.textContent = this.ready ? this.offers[0].words : none ? say("Nothing to compare with") : say("Loading…")
    this.viewer.draw()
  }
}
