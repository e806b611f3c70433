// Drawing where the defects lie: by mouse, finger or keys. What is drawn goes with the decision, which the panel sends.
const CORNERS = ["nw", "ne", "sw", "se"]
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
const LEAST_DRAG = 3 // screen pixels: less is a click

class Drawing {
  constructor(viewer) {
    const { find } = viewer
    this.viewer = viewer
    this.layer = find("drafts")
    this.drafts = new Drafts(0)
    this.on = false
    this.data = null
    find("draw").onclick = () => this.turn(!this.on)
    find("draw-new").onclick = () => this.addInMiddle()
    find("draw-take").onclick = () => this.takeOver()
    find("draw-delete").onclick = () => this.remove()
    find("draw-done").onclick = () => this.turn(false)
    find("draw-class").onchange = (event) => this.name(event.target.value)
    this.onKey = (event) => this.key(event)
    document.addEventListener("keydown", this.onKey)
  }

  close() {
    document.removeEventListener("keydown", this.onKey)
    delete document.documentElement.dataset.kizuBoxes
  }

  show(data, samePart) {
    this.data = data
    const { drawing } = data
    if (!samePart) {
      this.on = false
      this.drafts = new Drafts(drawing?.most ?? 0)
      this.next = drawing?.first ?? null // the class of the next box
      this.words = ""
      this.viewer.find("draw-class").replaceChildren(
        ...(drawing?.classes ?? []).map(({ name, label }, index) => {
          const option = document.createElement("option")
          option.value = name
          option.textContent = index < 9 ? `${index + 1} ${label}` : label
          return option
        })
      )
    } else if (this.drafts.boxes.length && this.drafts.same(data.people)) {
      this.drafts.clear() // stored: from now on they are the review's
      this.turn(false)
    }
    this.make()
  }

  turn(on) {
    this.on = Boolean(on && this.data?.drawing)
    if (!this.on) this.drafts.chosen = null
    this.tell("")
    this.make()
  }

  tell(words) {
    this.words = words
  }

  label(name) {
    return this.data.drawing.classes.find((one) => one.name === name)?.label ?? name
  }

  // What the panel sends with its answer, and that it is to sleep while digits mean something else.
  publish() {
    const told = { uid: this.data.uid, drawing: this.on, boxes: this.drafts.boxes }
    document.documentElement.dataset.kizuBoxes = JSON.stringify(told)
  }

  place(event) {
    const { scale, left, top } = this.viewer.placed
    const at = this.viewer.place(event)
    return { x: Math.floor((at.x - left) / scale), y: Math.floor((at.y - top) / scale) }
  }

  // True where this is about boxes, and not about moving the picture.
  begin(event) {
    if (!this.on || event.shiftKey || event.button !== 0) return false
    event.preventDefault()
    const { drafts } = this
    const from = this.place(event)
    const handle = event.composedPath().find((one) => one.classList?.contains("handle"))
    const under = event.composedPath().find((one) => one.classList?.contains("draft"))
    if (under) drafts.chosen = Number(under.dataset.index)
    const box = under ? { ...drafts.box } : null
    const size = this.viewer.size
    let change
    if (handle) {
      const corner = handle.dataset.corner // the one across stays where it is
      const fixed = { x: corner.includes("w") ? box.x2 - 1 : box.x1, y: corner.includes("n") ? box.y2 - 1 : box.y1 }
      change = (to) => drafts.stretch(fixed, to, size)
    } else if (under) {
      change = (to) => drafts.move(box, to.x - from.x, to.y - from.y, size)
    } else {
      drafts.chosen = null
      const inside = from.x >= 0 && from.y >= 0 && from.x < size.width && from.y < size.height
      change = (to) => {
        if (drafts.chosen === null && !(inside && this.add(from))) return
        drafts.stretch(from, to, size)
      }
    }
    this.follow(event, change)
    this.make()
    return true
  }

  follow(start, change) {
    const { stage } = this.viewer
    let moved = false
    stage.setPointerCapture(start.pointerId)
    const move = (event) => {
      moved ||= Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) >= LEAST_DRAG
      if (!moved || event.pointerId !== start.pointerId) return
      change(this.place(event))
      this.make()
    }
    const end = () => {
      for (const [name, listener] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) {
        stage.removeEventListener(name, listener)
      }
      if (moved) this.tellBox()
      this.make()
    }
    stage.addEventListener("pointermove", move)
    stage.addEventListener("pointerup", end)
    stage.addEventListener("pointercancel", end)
  }

  add(at) {
    const added = this.drafts.add({ x1: at.x, y1: at.y, x2: at.x + 1, y2: at.y + 1, defect_class: this.next })
    if (!added) this.tell(say("{most} boxes are the most.", { most: this.drafts.most }))
    return added
  }

  // For who has no pointer: a quarter of what can be seen, to be moved from there.
  addInMiddle() {
    const { scale, left, top } = this.viewer.placed
    const { size, room } = this.viewer
    const at = (share) => ({
      x: Math.floor((room.width * share - left) / scale),
      y: Math.floor((room.height * share - top) / scale),
    })
    if (this.add(at(0.5))) {
      this.drafts.stretch(at(0.375), at(0.625), size)
      this.tellBox()
    }
    this.make()
    this.focus()
  }

  // The review's own boxes, or else the model's regions, as a start.
  takeOver() {
    const known = new Set(this.data.drawing.classes.map((one) => one.name))
    for (const box of this.offered) {
      if (!this.drafts.add({ ...box, defect_class: known.has(box.defect_class) ? box.defect_class : this.next })) break
    }
    this.tell(say("{count} boxes", { count: this.drafts.boxes.length }))
    this.make()
  }

  get offered() {
    return this.data.people.length ? this.data.people : this.data.regions
  }

  remove() {
    this.drafts.remove()
    this.tell(say("Deleted; {count} left", { count: this.drafts.boxes.length }))
    this.make()
  }

  name(defect) {
    this.next = defect
    if (this.drafts.box) {
      this.drafts.box.defect_class = defect
      this.tellBox()
    }
    this.make()
  }

  tellBox() {
    if (this.drafts.box) this.tell(this.nameOf(this.drafts.box, this.drafts.chosen))
  }

  nameOf(box, index) {
    const { x1, x2, y1, y2 } = box
    const named = { number: index + 1, count: this.drafts.boxes.length, defect: this.label(box.defect_class), x1, x2, y1, y2 }
    return say("Box {number} of {count}: {defect}, x {x1} to {x2}, y {y1} to {y2}", named)
  }

  key(event) {
    if (!this.data?.drawing || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return
    const pressed = meant(event)
    const key = pressed.length === 1 ? pressed.toLowerCase() : pressed
    if (key === "d" && !event.repeat) return this.turn(!this.on)
    if (!this.on) return
    const arrow = this.drafts.box && ARROWS[key]
    const one = /^[1-9]$/.test(key) ? this.data.drawing.classes[Number(key) - 1] : null
    if (arrow) {
      const step = Math.max(1, Math.round(2 / this.viewer.placed.scale)) // what the eye can see move
      const [dx, dy] = arrow.map((way) => way * step)
      if (event.shiftKey) this.drafts.grow(dx, dy, this.viewer.size)
      else this.drafts.move({ ...this.drafts.box }, dx, dy, this.viewer.size)
      this.tellBox()
    } else if (one) this.name(one.name)
    else if (key === "Delete" || key === "Backspace") this.remove()
    else if (key === "n" && !event.repeat) this.addInMiddle()
    else if (key === "t" && !event.repeat) this.takeOver()
    else if (key === "Escape") this.turn(false)
    else return
    event.preventDefault()
    this.make()
  }

  focus() {
    if (this.drafts.chosen !== null) this.layer.children[this.drafts.chosen].focus({ preventScroll: true })
  }

  element(index) {
    const element = document.createElement("div")
    element.className = "draft"
    element.dataset.index = index
    element.setAttribute("role", "button")
    element.onfocus = () => {
      if (!this.on || this.drafts.chosen === index) return
      this.drafts.chosen = index
      this.tellBox()
      this.make()
    }
    element.append(document.createElement("span"))
    for (const corner of CORNERS) {
      const handle = document.createElement("i")
      handle.className = `handle ${corner}`
      handle.dataset.corner = corner
      element.append(handle)
    }
    return element
  }

  make() {
    const { find } = this.viewer
    const { boxes, chosen } = this.drafts
    while (this.layer.children.length > boxes.length) this.layer.lastElementChild.remove()
    while (this.layer.children.length < boxes.length) this.layer.append(this.element(this.layer.children.length))
    boxes.forEach((box, index) => {
      const element = this.layer.children[index]
      element.firstElementChild.textContent = `✎ ${index + 1} · ${this.label(box.defect_class)}`
      element.setAttribute("aria-label", this.nameOf(box, index))
      element.setAttribute("aria-pressed", String(index === chosen))
      element.tabIndex = this.on ? 0 : -1
    })
    const can = Boolean(this.data.drawing)
    find("draw").hidden = !can
    find("draw").setAttribute("aria-pressed", String(this.on))
    find("draw-bar").hidden = !this.on && boxes.length === 0
    find("draw-tools").hidden = !this.on
    find("draw-class").value = this.drafts.box?.defect_class ?? this.next
    find("draw-take").disabled = this.offered.length === 0 || this.drafts.full
    find("draw-new").disabled = this.drafts.full
    find("draw-delete").disabled = chosen === null
    find("draw-words").textContent = this.words || this.standing
    this.viewer.stage.classList.toggle("drawing", this.on)
    this.publish()
    this.lay()
  }

  get standing() {
    const { length } = this.drafts.boxes
    if (length === 1) return say("1 box goes with your decision")
    if (length) return say("{count} boxes go with your decision", { count: length })
    return say("Draw a box around each defect; keys decide again after D")
  }

  lay() {
    const { placed } = this.viewer
    Array.from(this.layer.children).forEach((element, index) => layOver(element, this.drafts.boxes[index], placed))
  }
}
