// What the Review page's keys are, and what they are not: a scanner types like a person, only faster, and ends with Enter.
const OWN_KEYS = "kizu-keys"
const BURST_MS = 35 // a key waits so long for the next one: scanners leave 1 to 20 ms between two, people hardly ever so little
const UNREAD = "\uFFFD" // for a sign that cannot be told: without it another part's name could be left
const ENTER_MS = 300 // so long after a burst Enter still belongs to it, and presses no button
const DELIVERED = { confirm: "c", good: "g", unsure: "u", skip: "s", undo: "z", comment: "m", find: "f", list: "l", help: "?" }
const UNKNOWN_SIGNS = ["Dead", "Process", "Unidentified"]
const VIEWERS = ["h", "r", "b", "d", "n", "t", "+", "-", "0"]

// Each action has a key of its own. What a person chose before another action came goes before what that is delivered with.
function ownKeys() {
  const keys = {}
  const take = (action, key) => {
    if (!(action in keys) && isFree(key) && !Object.values(keys).includes(key)) keys[action] = key
  }
  try {
    const kept = JSON.parse(localStorage.getItem(OWN_KEYS) ?? "{}") ?? {}
    for (const action of Object.keys(DELIVERED)) take(action, kept[action])
  } catch {
    // A browser that keeps nothing, or something else under this name.
  }
  for (const [action, key] of Object.entries(DELIVERED)) for (const one of [key, ..."aefijklopqvwxyz"]) take(action, one)
  return keys
}

function isFree(key) {
  return typeof key === "string" && key.length === 1 && !VIEWERS.includes(key) && !/^[1-9\s]$/.test(key)
}

// Stands before all other listeners: a key goes on to them when no other followed it at once. What came in a burst goes to none
// of them, whether it ends with Enter, which makes it something scanned, or not. Where somebody types it lets all pass.
class KeyGuard {
  constructor() {
    this.text = ""
    this.held = [] // the keys of this text, each with where it was pressed and whether it came up already
    this.mixed = false // whether keys that type nothing came among them: CapsLock, a dead key or Ctrl, as scanners send them
    this.silentAt = -Infinity // when the last such key came
    this.ahead = "" // the sign that it stands for, where the text begins with it
    this.burstAt = -Infinity // when the last key of a burst came
    this.onDown = (event) => this.down(event)
    this.onUp = (event) => this.up(event)
    window.addEventListener("keydown", this.onDown, true)
    window.addEventListener("keyup", this.onUp, true)
  }

  close() {
    clearTimeout(this.waiting)
    window.removeEventListener("keydown", this.onDown, true)
    window.removeEventListener("keyup", this.onUp, true)
  }

  down(event) {
    if (event.kizuPassed || event.repeat || isTyping(event)) return
    const key = meant(event)
    const chord = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph")
    if (chord) return this.mix(event, event.altKey && key.length === 1 ? UNREAD : "") // Ctrl and a key: a scanner's separator
    if (key === "Enter") return this.enter(event)
    if (key.length !== 1) return key === "Shift" ? undefined : this.mix(event, UNKNOWN_SIGNS.includes(key) ? UNREAD : "")
    if (key === " " && !this.text) return
    this.keep(event)
    if (event.timeStamp - this.silentAt < BURST_MS) {
      this.mixed = true
      if (!this.text) this.text = this.ahead
    }
    this.text += key
    this.held.push({ event, at: event.composedPath()[0], up: null })
    if (this.text.length > 1) this.burstAt = event.timeStamp
    clearTimeout(this.waiting)
    this.waiting = setTimeout(() => this.settle(), BURST_MS)
  }

  // A key that types nothing, so soon before or after one that does: no person's.
  mix(event, sign) {
    this.silentAt = event.timeStamp
    if (!this.held.length) return (this.ahead = sign)
    this.text += sign
    this.mixed = true
    this.burstAt = event.timeStamp
    clearTimeout(this.waiting)
    this.waiting = setTimeout(() => this.settle(), BURST_MS)
  }

  enter(event) {
    if (!this.text && event.timeStamp - this.burstAt > ENTER_MS) return
    this.keep(event)
    clearTimeout(this.waiting)
    const text = this.text || this.late || ""
    this.text = this.late = ""
    this.held = []
    this.mixed = false
    this.burstAt = -Infinity
    if (text.trim()) document.dispatchEvent(new CustomEvent("kizu-scan", { detail: text.trim() }))
  }

  up(event) {
    const key = this.held.find((one) => one.event.code === event.code && one.event.key === event.key)
    if (!key || event.kizuPassed) return
    this.keep(event)
    key.up = event
  }

  // No other key came: one alone is a person's.
  settle() {
    if (navigator.scheduling?.isInputPending?.()) return (this.waiting = setTimeout(() => this.settle(), 0)) // a busy page is late
    clearTimeout(this.waiting)
    const { held, text, mixed } = this
    this.held = []
    this.text = ""
    this.mixed = false
    const burst = held.length > 1 || mixed
    this.late = burst ? text : "" // its Enter may come yet
    if (burst || !held.length) return
    this.pass(held[0].event, held[0].at)
    if (held[0].up) this.pass(held[0].up, held[0].at)
  }

  pass(event, at) {
    const { type, code, location: where, shiftKey } = event
    const again = new KeyboardEvent(type, { key: meant(event), code, location: where, shiftKey, bubbles: true, cancelable: true, composed: true })
    again.kizuPassed = true
    ;(at.isConnected ? at : document.body).dispatchEvent(again)
  }

  keep(event) {
    event.preventDefault()
    event.stopImmediatePropagation()
  }
}

// What each key is for, in the reader's language.
const WORDS = {
  confirm: () => say("Confirm the verdict"),
  good: () => say("Good"),
  unsure: () => say("Cannot tell: a second person decides"),
  skip: () => say("Skip"),
  undo: () => say("Undo: decide the last part again"),
  comment: () => say("Write a comment"),
  find: () => say("Scan or type which part comes next"),
  list: () => say("Defects by name, where there are more than nine"),
  help: () => say("These keys"),
}

// The keys that nobody changes.
function fixedKeys() {
  return [
    ["1 – 9", say("The defect classes, in the model's order")],
    ["H", say("Heatmap")],
    ["R", say("Regions")],
    ["B", say("Compare, while held")],
    ["D", say("Draw boxes; digits are then their classes")],
    ["+ − 0", say("Zoom")],
    ["Esc", say("Leave a field")],
  ]
}
