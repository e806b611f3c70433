// The panel answers for the part that is on the screen, once: it sleeps until the photo is decoded and was seen for a moment,
// and after an answer until the server has looked at it.
const panels = new WeakMap()
const DRAFTS = "kizu-drafts"
const SILENT_MS = 8000
let pending = null // the answer that the server has not told of yet; it outlives a panel whose connection was lost
const DWELL_MS = 250
const DIGITS = 9

// What was typed for a part stays until it is decided, whatever comes between: another part, a reload, a lost connection.
const drafts = {
  read() {
    try {
      return JSON.parse(sessionStorage.getItem(DRAFTS) ?? "{}")
    } catch {
      return {}
    }
  },
  of(uid) {
    return this.read()[uid] ?? ""
  },
  keep(uid, text) {
    const all = this.read()
    delete all[uid]
    if (text) all[uid] = text
    const newest = Object.entries(all).slice(-20)
    try {
      sessionStorage.setItem(DRAFTS, JSON.stringify(Object.fromEntries(newest)))
    } catch {
      // A browser that keeps nothing has it as long as the part is shown.
    }
  },
}

class Panel {
  constructor(root) {
    this.find = (name) => root.querySelector("." + name)
    this.guard = new KeyGuard()
    this.keys = ownKeys()
    this.since = null // when the photo could be seen; null: not yet
    this.sent = false
    this.asking = null // the answer that waits for its reason
    this.changing = null // the action whose key is being changed
    this.onPicture = (event) => this.picture(event.detail)
    this.onKey = (event) => this.key(event)
    document.addEventListener("kizu-picture", this.onPicture)
    document.addEventListener("keydown", this.onKey)
    this.find("why").onsubmit = (event) => {
      event.preventDefault()
      this.reasoned(this.find("why-text").value)
    }
    this.find("by-name").onsubmit = (event) => {
      event.preventDefault()
      this.named()
    }
    this.find("by-name-text").oninput = () => this.narrow()
    this.find("cancel").onclick = () => this.ask(null)
    this.find("comment").oninput = () => {
      drafts.keep(this.data.uid, this.find("comment").value)
      this.measure()
    }
    this.find("done").onclick = () => this.find("help").close()
    this.find("reset").onclick = () => this.setKeys({ ...DELIVERED })
    this.find("help").onclose = () => (this.changing = null)
  }

  close() {
    this.guard.close()
    document.removeEventListener("kizu-picture", this.onPicture)
    document.removeEventListener("keydown", this.onKey)
    clearTimeout(this.waking)
    clearTimeout(this.silent)
  }

  show(data, send) {
    this.send = send
    const before = this.data
    this.data = data
    if (!before || before.uid !== data.uid || before.nonce !== data.nonce) {
      this.since = null
      this.asking = null
      this.find("comment").value = drafts.of(data.uid)
      this.find("treatment").value = ""
      this.find("why-text").value = ""
      this.find("by-name-text").value = ""
    }
    const lost = this.answered(data)
    this.words()
    if (lost) this.refuse(say("The connection was lost before your answer arrived: nothing was stored. Decide again."))
    this.measure()
    this.picture(document.documentElement.dataset.kizuPicture)
  }

  // Whether the page was drawn anew without a word of the answer that was sent: it never arrived.
  answered(data) {
    clearTimeout(this.silent)
    this.sent = false
    if (!pending) return false
    const looked = pending.nonce !== data.nonce || pending.turn !== data.turn
    if (looked && !data.notice && pending.decides) drafts.keep(pending.uid, "")
    if (looked && !data.notice && pending.decides && pending.uid === data.uid) this.find("comment").value = ""
    pending = null
    return !looked
  }

  // The same answer again counts once, whichever of the two arrives.
  speakUp() {
    this.sent = false
    this.refuse(say("No word from the server: your answer may not be stored. Answer again; it counts once."))
    this.wake()
  }

  refuse(text) {
    this.find("refused").hidden = false
    this.find("refused").textContent = text
    this.find("told").textContent = ""
  }

  picture(uid) {
    if (!this.data || uid !== this.data.uid || this.since !== null) return this.wake()
    this.since = performance.now()
    clearTimeout(this.waking)
    this.waking = setTimeout(() => this.wake(), DWELL_MS)
    this.wake()
  }

  get awake() {
    return !this.sent && this.since !== null && performance.now() - this.since >= DWELL_MS - 1
  }

  wake() {
    for (const button of this.find("answers").querySelectorAll("button")) button.setAttribute("aria-disabled", String(!this.awake))
    for (const button of this.find("beside").querySelectorAll("button")) {
      button.setAttribute("aria-disabled", String(!this.awake || Boolean(button.dataset.off)))
    }
    this.find("answers").dataset.awake = this.awake ? this.data.uid : ""
  }

  words() {
    const { data, find } = this
    const line = (name, text) => {
      find(name).hidden = !text
      find(name).textContent = text ?? ""
    }
    line("standing", data.standing)
    line("second", data.second)
    line("escalated", data.escalated)
    line("refused", data.notice)
    find("told").textContent = data.told ?? ""
    find("comment-key").textContent = this.keys.comment.toUpperCase()
    find("answers").replaceChildren(...this.answers.map((answer) => this.button(answer)))
    find("beside").replaceChildren(...this.besides.map((answer) => this.button(answer)))
    find("by-name").hidden = data.classes.length <= DIGITS
    find("by-name-key").textContent = this.keys.list.toUpperCase()
    this.narrow()
    this.ask(this.asking)
  }

  get answers() {
    const { data } = this
    return [
      ...(data.confirm ? [{ kind: "confirm", label: say("Confirm: {decision}", { decision: data.confirm }), key: this.keys.confirm, main: true }] : []),
      { kind: "good", label: say("Good"), key: this.keys.good },
      ...data.classes.map((one, index) => ({
        kind: "defective", defect_class: one.name, label: one.label, key: index < DIGITS ? String(index + 1) : null, suspected: one.suspected,
      })),
    ]
  }

  get besides() {
    const { data, keys } = this
    return [
      { kind: "unsure", label: say("Cannot tell"), key: keys.unsure, off: !data.can_escalate },
      { kind: "skip", label: say("Skip"), key: keys.skip, off: !data.can_skip },
      { kind: "undo", label: say("Undo"), key: keys.undo, off: !data.can_undo },
      { kind: "help", label: say("Keys"), key: keys.help },
    ]
  }

  button(answer) {
    const button = make("button", `answer to-${answer.kind}`)
    button.type = "button"
    button.append(make("span", "", answer.label))
    if (answer.key) {
      button.append(make("kbd", "", answer.key.toUpperCase()))
      button.setAttribute("aria-keyshortcuts", answer.key)
    }
    if (answer.main) button.classList.add("main")
    if (answer.suspected) {
      button.classList.add("suspected")
      button.title = say("What the model suspects")
    }
    if (answer.off) button.dataset.off = "1"
    button.onclick = () => this.act(answer)
    return button
  }

  // Of dozens of defects those whose name holds what is typed.
  get matching() {
    const typed = this.find("by-name-text").value.trim().toLowerCase()
    const defects = this.answers.filter((one) => one.kind === "defective")
    const exact = defects.filter((one) => one.label.toLowerCase() === typed)
    return exact.length ? exact : defects.filter((one) => one.label.toLowerCase().includes(typed))
  }

  narrow() {
    const typed = this.find("by-name-text").value.trim()
    const shown = new Set(this.matching.map((one) => one.label))
    for (const button of this.find("answers").querySelectorAll(".to-defective")) {
      button.hidden = Boolean(typed) && !shown.has(button.firstElementChild.textContent)
    }
    this.find("by-name-said").textContent = ""
  }

  named() {
    const { matching } = this
    if (this.find("by-name-text").value.trim() && matching.length === 1) {
      this.find("by-name-text").blur() // where a reason is asked, digits answer
      return this.act(matching[0])
    }
    this.find("by-name-said").textContent = matching.length ? say("Type more of the name: several defects have it") : say("No defect has this in its name")
  }

  act(answer) {
    if (answer.kind === "help") return this.help()
    if (!this.awake || answer.off) return
    if (this.data.needs_reason.includes(answer.kind) && !this.find("comment").value.trim()) return this.ask(answer)
    this.answer(answer, this.find("comment").value)
  }

  answer(answer, reason) {
    if (!this.awake || this.tooLong(reason)) return
    this.sent = true
    this.ask(null)
    this.wake()
    this.find("told").textContent = ""
    const { uid, nonce, turn } = this.data
    pending = { uid, nonce, turn, decides: !["undo", "skip"].includes(answer.kind) }
    this.silent = setTimeout(() => this.speakUp(), SILENT_MS)
    this.send({
      uid: this.data.uid,
      nonce: this.data.nonce,
      kind: answer.kind,
      defect_class: answer.defect_class ?? null,
      reason,
      treatment: this.find("treatment").value || null,
      shown_ms: Math.round(performance.now() - this.since),
      boxes: /^(confirm|good|defective)$/.test(answer.kind) ? this.drawn.boxes : [],
    })
  }

  // What the viewer has of boxes for this part. Digits are boxes' classes while somebody draws.
  get drawn() {
    const told = JSON.parse(document.documentElement.dataset.kizuBoxes ?? "null")
    return told?.uid === this.data.uid ? told : { drawing: false, boxes: [] }
  }

  ask(answer) {
    this.asking = answer
    const { find, data } = this
    find("why").hidden = !answer
    if (!answer) return
    find("why-words").textContent =
      answer.kind === "good"
        ? say("Why is it good? The verdict says otherwise.")
        : say("Why is it defective? The verdict says otherwise.")
    find("reasons").replaceChildren(
      ...data.reasons.map(({ reason, label }, index) => {
        const button = make("button", "reason")
        button.type = "button"
        button.append(make("span", "", label), make("kbd", "", String(index + 1)))
        button.onclick = () => this.reasoned(reason)
        return button
      })
    )
  }

  reasoned(reason) {
    const comment = this.find("comment").value.trim()
    if (this.asking && reason.trim()) this.answer(this.asking, comment ? `${reason}\n${comment}` : reason)
  }

  tooLong(text) {
    return text.length > this.data.longest_reason
  }

  // Nothing that was pasted vanishes: what is too long is said, and is not sent.
  measure() {
    const { length } = this.find("comment").value
    const most = this.data.longest_reason
    this.find("too-long").hidden = length <= most
    this.find("too-long").textContent = say("{length} characters: shorten it to {most}; nothing is cut off.", {
      length: length.toLocaleString(),
      most: most.toLocaleString(),
    })
  }

  key(event) {
    if (!this.data || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    if (this.find("help").open) return this.changing ? this.change(event, key) : undefined
    if (key === "Escape") {
      this.ask(null)
      if (isTyping(event)) event.composedPath()[0].blur()
      return
    }
    if (isTyping(event) || this.drawn.drawing) return
    if (this.asking && /^[1-9]$/.test(key)) {
      const reason = this.data.reasons[Number(key) - 1]
      if (reason) this.reasoned(reason.reason)
      return
    }
    const field = { [this.keys.comment]: "comment", [this.keys.list]: this.find("by-name").hidden ? null : "by-name-text" }[key]
    if (field) {
      event.preventDefault()
      this.find(field).focus()
      return
    }
    const answer = [...this.answers, ...this.besides].find((one) => one.key === key)
    if (answer) {
      event.preventDefault()
      this.act(answer)
    }
  }

  help() {
    const rows = Object.keys(DELIVERED).map((action) => {
      const row = make("tr")
      const change = make("button", "change", this.changing === action ? say("Press a key…") : say("Change"))
      change.type = "button"
      change.dataset.action = action
      change.onclick = () => {
        this.changing = action
        this.help()
        this.find("help").querySelector(`[data-action="${action}"]`).focus()
      }
      const name = make("td")
      name.append(make("kbd", "", this.keys[action].toUpperCase()))
      const end = make("td")
      end.append(change)
      row.append(name, make("td", "", WORDS[action]()), end)
      return row
    })
    rows.push(
      ...fixedKeys().map(([key, words]) => {
        const row = make("tr")
        const name = make("td")
        name.append(make("kbd", "", key))
        row.append(name, make("td", "", words), make("td"))
        return row
      })
    )
    this.find("help").querySelector("tbody").replaceChildren(...rows)
    if (!this.find("help").open) this.find("help").showModal()
  }

  change(event, key) {
    if (key === "Escape") return
    event.preventDefault()
    const other = Object.entries(this.keys).some(([action, taken]) => taken === key && action !== this.changing)
    if (other || !isFree(key)) return
    const changed = this.changing
    this.changing = null
    this.setKeys({ ...this.keys, [changed]: key })
  }

  setKeys(keys) {
    this.keys = keys
    try {
      localStorage.setItem(OWN_KEYS, JSON.stringify(keys))
    } catch {
      // A browser that keeps nothing has them until it is closed.
    }
    this.words()
    this.wake()
    this.help()
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  speak(data)
  sayMarkup(parentElement)
  let panel = panels.get(parentElement)
  if (!panel) {
    panel = new Panel(parentElement)
    panels.set(parentElement, panel)
  }
  panel.show(data, (answer) => setTriggerValue("answered", answer))
  return () => {
    panel.close()
    panels.delete(parentElement)
  }
}
