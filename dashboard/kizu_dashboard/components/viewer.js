// The viewer keeps its own state between reruns: its look and switches stay from part to part, zoom starts anew.
const viewers = new WeakMap()
const REMEMBERED = "kizu-viewer"

function remembered() {
  try {
    return { showMap: true, showBoxes: true, ...JSON.parse(sessionStorage.getItem(REMEMBERED) ?? "{}"), ...keptLook() }
  } catch {
    return { showMap: true, showBoxes: true, ...keptLook() }
  }
}

class Viewer {
  constructor(root) {
    this.find = (name) => root.querySelector("." + name)
    this.stage = this.find("stage")
    this.world = this.find("world")
    this.photo = this.find("photo")
    this.map = this.find("map")
    this.heat = new HeatMap(this.map)
    this.view = { zoom: 1, x: 0, y: 0 }
    this.choice = remembered()
    this.find("colours").replaceChildren(...Object.keys(COLOUR_TABLES).map((name) => new Option(name, name)))
    this.beside = new Beside(this)
    this.drawing = new Drawing(this)
    this.ahead = new Map() // what may come next, fetched while this part is looked at
    this.listen()
  }

  listen() {
    const { find } = this
    find("show-map").onchange = (event) => this.choose({ showMap: event.target.checked })
    find("show-boxes").onchange = (event) => this.choose({ showBoxes: event.target.checked })
    find("opacity").oninput = (event) => this.choose({ opacity: Number(event.target.value), showMap: true })
    find("threshold").oninput = (event) => this.choose({ threshold: Number(event.target.value), showMap: true })
    find("colours").onchange = (event) => this.choose({ colours: event.target.value, showMap: true })
    find("in").onclick = () => this.zoomBy(1.5)
    find("out").onclick = () => this.zoomBy(1 / 1.5)
    find("fit").onclick = () => this.fit()
    this.stage.ondblclick = (event) => this.drawing.on || (this.view.zoom > 1 ? this.fit() : this.zoomBy(3, this.place(event)))
    this.stage.onpointerdown = (event) => this.drawing.begin(event) || this.drag(event)
    this.stage.onpointermove = (event) => this.read(event)
    this.stage.onpointerleave = () => (find("readout").hidden = true)
    // Passive listeners cannot keep the page from scrolling; only with Ctrl, so that scrolling past the picture works.
    this.onWheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      this.zoomBy(Math.exp(-event.deltaY / 300), this.place(event))
    }
    this.stage.addEventListener("wheel", this.onWheel, { passive: false })
    this.onKey = (event) => this.key(event)
    document.addEventListener("keydown", this.onKey)
    this.photo.onload = () => this.seen()
    this.photo.onerror = () => this.missing(say("The picture is missing from the image store or cannot be read."))
    this.resizing = new ResizeObserver(() => this.draw())
    this.resizing.observe(this.stage)
  }

  close() {
    document.removeEventListener("keydown", this.onKey)
    this.stage.removeEventListener("wheel", this.onWheel)
    this.resizing.disconnect()
    this.beside.close()
    this.drawing.close()
  }

  show(data) {
    const samePart = this.data?.uid === data.uid
    const same = samePart && this.data.heatmap === data.heatmap
    this.data = data
    this.drawing.show(data, samePart)
    this.makeBoxes()
    if (same) return this.draw()
    this.view = { zoom: 1, x: 0, y: 0 }
    this.heat.clear()
    this.stage.dataset.uid = data.uid
    this.stage.dataset.map = data.heatmap ? "loading" : "none"
    this.find("empty").hidden = true
    if (data.photo_first && !samePart) Object.assign(this.choice, { showMap: false, showBoxes: false })
    this.words()
    if (!samePart) this.beside.begin(data.beside)
    if (data.photo) {
      this.photo.hidden = false
      this.photo.alt = say("Photo of part {part}", { part: data.part })
      if (this.photo.getAttribute("src") !== data.photo) this.photo.src = data.photo
      else if (this.photo.complete) this.seen()
    } else {
      this.photo.removeAttribute("src")
      this.missing(say("No picture was kept of this inspection."))
    }
    if (data.heatmap) this.load(data.heatmap)
    this.draw()
  }

  // Whoever decides about the part may do so from now on: what there is of it stands on the screen.
  announce(uid) {
    document.documentElement.dataset.kizuPicture = uid
    document.dispatchEvent(new CustomEvent("kizu-picture", { detail: uid }))
  }

  async seen() {
    const { uid } = this.data
    this.draw()
    try {
      await this.photo.decode()
    } catch {
      return // another picture was asked for meanwhile, or this one is broken, which onerror tells
    }
    if (uid !== this.data.uid) return
    this.announce(uid)
    this.beside.fetchSoon()
    for (const address of this.data.ahead ?? []) this.fetchAhead(address)
  }

  fetchAhead(address) {
    if (this.ahead.has(address)) return
    const picture = new Image()
    picture.src = address
    this.ahead.set(address, picture)
    if (this.ahead.size > 8) this.ahead.delete(this.ahead.keys().next().value)
  }

  missing(why) {
    this.photo.hidden = true
    this.find("empty").textContent = why
    this.find("empty").hidden = false
    this.beside.begin([])
    this.announce(this.data.uid)
  }

  async load(address) {
    try {
      const answer = await fetch(address)
      if (!answer.ok) throw new Error(await answer.text())
      const picture = await createImageBitmap(await answer.blob())
      if (address !== this.data.heatmap) return
      this.heat.take(picture)
      this.heat.draw(this.choice)
      this.stage.dataset.map = "drawn"
    } catch (error) {
      if (address !== this.data.heatmap) return
      this.stage.dataset.map = "missing"
      this.notice(say("The heatmap cannot be loaded: {why}", { why: error.message }))
    }
  }

  words() {
    const { data, find } = this
    this.notice(data.message)
    find("legend").hidden = !data.heatmap
    if (!data.heatmap) return
    find("method").textContent = data.method
    find("about").textContent = data.about
    this.find("peak").firstElementChild.style.left = `${100 * Math.min(1, data.peak)}%`
    const peak = data.peak.toFixed(2)
    find("peak-words").textContent =
      data.peak > 1
        ? say("▎Peak of this picture: {peak} of the scale – above the scale, drawn at full colour", { peak })
        : say("▎Peak of this picture: {peak} of the scale", { peak })
  }

  // What stands for what: the colours chosen, from where on they are drawn.
  legend() {
    const { find, choice } = this
    const table = coloursOf(choice.colours)
    const stops = Array.from({ length: 17 }, (_, i) => {
      const at = 3 * Math.round((255 * i) / 16)
      return `rgb(${table.subarray(at, at + 3).join(" ")})`
    })
    const hidden = `linear-gradient(90deg, var(--kz-card) ${choice.threshold}%, transparent ${choice.threshold}%)`
    find("ramp").style.background = `${hidden}, linear-gradient(90deg, ${stops.join(", ")})`
    find("threshold").value = choice.threshold
    find("colours").value = choice.colours
    const from = (choice.threshold / 100).toFixed(2)
    find("hidden-words").textContent = choice.threshold ? say("Evidence below {from} of the scale is hidden", { from }) : say("All evidence is shown")
  }

  notice(text) {
    const box = this.find("notice")
    box.hidden = !text
    box.querySelector("span").textContent = text ?? ""
  }

  makeBoxes() {
    this.find("boxes").replaceChildren(...this.data.regions.map(regionBox), ...this.data.people.map(peoplesBox))
  }

  choose(change) {
    Object.assign(this.choice, change)
    keepLook(this.choice)
    try {
      const { showMap, showBoxes } = this.choice
      sessionStorage.setItem(REMEMBERED, JSON.stringify({ showMap, showBoxes }))
    } catch {
      // A browser that keeps nothing still shows the picture.
    }
    this.draw()
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event)) return
    const actions = {
      h: () => this.choose({ showMap: !this.choice.showMap }),
      r: () => this.choose({ showBoxes: !this.choice.showBoxes }),
      "+": () => this.zoomBy(1.5),
      "-": () => this.zoomBy(1 / 1.5),
      0: () => this.fit(),
    }
    const action = actions[meant(event).toLowerCase()]
    if (action) action()
  }

  get size() {
    return { width: this.data.width ?? this.photo.naturalWidth, height: this.data.height ?? this.photo.naturalHeight }
  }

  // The stage within its border, in the window: what lies on it is placed from there.
  get room() {
    const { left, top } = this.stage.getBoundingClientRect()
    const { clientLeft, clientTop, clientWidth, clientHeight } = this.stage
    return { left: left + clientLeft, top: top + clientTop, width: clientWidth, height: clientHeight }
  }

  // Screen pixels for one picture pixel, and where the picture's corner lies on the stage.
  get placed() {
    const { width, height } = this.size
    const { room } = this
    const scale = Math.min(room.width / width, room.height / height) * this.view.zoom
    return {
      scale,
      left: (room.width - width * scale) / 2 + this.view.x,
      top: (room.height - height * scale) / 2 + this.view.y,
    }
  }

  place(event) {
    const { room } = this
    return { x: event.clientX - room.left, y: event.clientY - room.top }
  }

  zoomBy(factor, at) {
    const { room } = this
    at ??= { x: room.width / 2, y: room.height / 2 }
    const before = this.placed
    const zoom = Math.min(40, Math.max(1, this.view.zoom * factor))
    const change = zoom / this.view.zoom
    const { width, height } = this.size
    const scale = before.scale * change
    this.view = {
      zoom,
      x: at.x - (at.x - before.left) * change - (room.width - width * scale) / 2,
      y: at.y - (at.y - before.top) * change - (room.height - height * scale) / 2,
    }
    if (zoom === 1) this.view = { zoom: 1, x: 0, y: 0 }
    this.draw()
  }

  fit() {
    this.view = { zoom: 1, x: 0, y: 0 }
    this.draw()
  }

  drag(event) {
    if (this.view.zoom === 1 || event.button !== 0) return
    const start = { x: event.clientX - this.view.x, y: event.clientY - this.view.y }
    this.stage.setPointerCapture(event.pointerId)
    this.stage.classList.add("dragging")
    const move = (to) => {
      this.view.x = to.clientX - start.x
      this.view.y = to.clientY - start.y
      this.draw()
    }
    const end = () => {
      this.stage.classList.remove("dragging")
      this.stage.removeEventListener("pointermove", move)
      this.stage.removeEventListener("pointerup", end)
      this.stage.removeEventListener("pointercancel", end)
    }
    this.stage.addEventListener("pointermove", move)
    this.stage.addEventListener("pointerup", end)
    this.stage.addEventListener("pointercancel", end)
  }

  read(event) {
    const { scale, left, top } = this.placed
    const { width, height } = this.size
    const at = this.place(event)
    const x = Math.floor((at.x - left) / scale)
    const y = Math.floor((at.y - top) / scale)
    const inside = x >= 0 && y >= 0 && x < width && y < height
    const readout = this.find("readout")
    readout.hidden = !inside
    if (!inside) return
    let text = `x ${x}  y ${y}`
    const { grey } = this.heat
    if (grey) {
      const column = Math.min(grey.width - 1, Math.floor((x * grey.width) / width))
      const row = Math.min(grey.height - 1, Math.floor((y * grey.height) / height))
      const evidence = (grey.values[row * grey.width + column] / 255).toFixed(2)
      text += `  ·  ${say("evidence {evidence}", { evidence })}`
    }
    readout.textContent = text
  }

  draw() {
    if (!this.data) return
    const { find, choice } = this
    find("show-map").checked = choice.showMap
    find("show-map").disabled = find("opacity").disabled = !this.data.heatmap
    find("slide").classList.toggle("off", !this.data.heatmap)
    find("show-boxes").checked = choice.showBoxes
    const boxes = [...this.data.regions, ...this.data.people]
    find("show-boxes").disabled = boxes.length === 0
    find("opacity").value = choice.opacity
    find("opacity-value").textContent = `${choice.opacity} %`
    this.legend()
    this.heat.draw(choice)
    find("factor").textContent = `${Math.round(100 * this.view.zoom)} %`
    this.map.style.opacity = choice.showMap && !this.beside.shows ? choice.opacity / 100 : 0
    const { width, height } = this.size
    if (!width || !height) return
    const { placed } = this
    const { scale, left, top } = placed
    this.world.style.width = `${width}px`
    this.world.style.height = `${height}px`
    this.world.style.transform = `translate(${left}px, ${top}px) scale(${scale})`
    this.world.classList.toggle("crisp", scale >= 6)
    find("boxes").hidden = !choice.showBoxes
    Array.from(find("boxes").children).forEach((box, index) => layOver(box, boxes[index], placed))
    this.drawing.lay()
  }
}

export default function ({ data, parentElement }) {
  speak(data)
  sayMarkup(parentElement)
  let viewer = viewers.get(parentElement)
  if (!viewer) {
    viewer = new Viewer(parentElement)
    viewers.set(parentElement, viewer)
  }
  viewer.show(data)
  return () => {
    viewer.close()
    viewers.delete(parentElement)
  }
}
