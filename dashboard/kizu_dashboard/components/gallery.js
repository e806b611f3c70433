// Selection is by the part that was inspected, not by its place, and stays in the browser until somebody decides. A picture
// counts as shown when it is loaded and was on the screen for a moment.
const galleries = new WeakMap()
const SEEN_MS = 250
const LOOK_MS = 125
const COVERED_PX = 110

class Gallery {
  constructor(root) {
    this.find = (name) => root.querySelector("." + name)
    this.tiles = new Map() // by uid, in the order of the page
    this.chosen = new Set()
    this.seen = new Map() // milliseconds on the screen, by uid
    this.visible = new Set()
    this.active = null // the tile that the keys are at
    this.anchor = null // where a range begins
    // Whole, and below what stays at the top of the window.
    const seen = { threshold: 0.95, rootMargin: `-${COVERED_PX}px 0px 0px 0px` }
    this.watching = new IntersectionObserver((entries) => this.watch(entries), seen)
    this.looking = setInterval(() => this.look(), LOOK_MS)
    this.looked = performance.now()
    this.find("all").onclick = () => this.select(this.uids)
    this.find("none").onclick = () => this.select([])
    this.find("go").onclick = () => this.go()
    this.find("tiles").onkeydown = (event) => this.key(event)
    // However it came there, by a click, Tab or a screen reader: the keys are at the tile that has the focus.
    this.find("tiles").addEventListener("focusin", (event) => {
      if (event.target.classList.contains("pick")) this.at(event.target.closest(".tile").dataset.uid)
    })
  }

  close() {
    this.watching.disconnect()
    clearInterval(this.looking)
  }

  get uids() {
    return [...this.tiles.keys()]
  }

  show(data, send, open) {
    this.send = send
    this.open = open
    const before = this.data
    this.data = data
    this.find("gallery").classList.toggle("selecting", data.selecting)
    this.find("bar").hidden = !data.selecting
    if (before && before.done !== data.done) this.chosen.clear()
    if (JSON.stringify(before?.rows) !== JSON.stringify(data.rows) || before.selecting !== data.selecting) this.draw()
    this.tell()
  }

  draw() {
    const { rows } = this.data
    const focused = this.tiles.get(this.active)?.contains(this.find("tiles").getRootNode().activeElement)
    this.watching.disconnect()
    this.visible.clear()
    this.tiles = new Map(rows.map((row) => [row.uid, this.tile(row)]))
    this.find("tiles").replaceChildren(...this.tiles.values())
    this.chosen = new Set([...this.chosen].filter((uid) => this.tiles.has(uid)))
    if (!this.tiles.has(this.anchor)) this.anchor = null
    this.at(this.tiles.has(this.active) ? this.active : this.uids[0], { focus: focused })
    for (const tile of this.tiles.values()) this.watching.observe(tile.querySelector(".picture"))
  }

  tile(row) {
    const tile = make("li", "tile")
    tile.dataset.uid = row.uid
    if (this.wasSeen(row.uid)) tile.dataset.seen = "1"
    const picture = make("div", "picture")
    const image = pictureOr(row.picture, "")
    image.onload = () => (picture.dataset.there = "1")
    picture.append(image)
    const link = make("a", "", row.part)
    link.href = `/part?uid=${encodeURIComponent(row.uid)}`
    link.title = row.part
    link.onclick = (event) => {
      event.stopPropagation()
      openedHere(event, () => this.open(row.uid))
    }
    const badge = make("span", "badge", `${row.icon} ${row.word}`)
    badge.style.color = row.ink
    badge.style.background = row.paper
    const tags = [badge]
    if (row.decision !== "–") tags.push(make("span", row.waits ? "tag waits" : "tag", row.decision))
    if (row.audit) tags.push(make("span", "tag", say("audit")))
    if (row.conflict) tags.push(make("span", "tag conflict", say("map conflict")))
    const line = make("div", "line")
    line.append(...tags)
    const about = [row.suspected, row.score_text].filter(Boolean).join(" · ")
    const told = make("div", "told")
    told.append(link, line, make("small", "", about || "–"), make("small", "", `${row.place} · ${row.date} ${row.time}`))
    tile.append(picture, told)
    if (this.data.selecting) {
      const plate = make("div", "plate")
      const pick = make("input", "pick")
      pick.type = "checkbox"
      pick.tabIndex = -1
      pick.setAttribute("aria-label", row.name)
      plate.append(pick)
      tile.prepend(plate)
      tile.onclick = (event) => {
        this.at(row.uid, { focus: true })
        // The browser has changed the box itself already where it was the box that was clicked.
        const on = event.target === pick ? pick.checked : !this.chosen.has(row.uid)
        if (event.shiftKey && this.anchor !== null) this.range(row.uid)
        else this.pick(row.uid, on)
      }
    }
    return tile
  }

  at(uid, { focus = false } = {}) {
    for (const one of [this.active, uid]) {
      const pick = this.tiles.get(one)?.querySelector(".pick")
      if (pick) pick.tabIndex = one === uid ? 0 : -1
    }
    this.active = uid
    const pick = this.tiles.get(uid)?.querySelector(".pick")
    if (focus && pick) {
      pick.focus({ preventScroll: true })
      this.tiles.get(uid).scrollIntoView({ block: "nearest" })
    }
  }

  pick(uid, on) {
    this.anchor = uid
    if (on) this.chosen.add(uid)
    else this.chosen.delete(uid)
    this.tell()
  }

  range(uid) {
    const places = [this.anchor, uid].map((one) => this.uids.indexOf(one)).sort((one, other) => one - other)
    for (const one of this.uids.slice(places[0], places[1] + 1)) this.chosen.add(one)
    this.tell()
  }

  select(uids) {
    this.chosen = new Set(uids)
    this.tell()
  }

  // What is selected, in the boxes and in words.
  tell() {
    for (const [uid, tile] of this.tiles) {
      const pick = tile.querySelector(".pick")
      if (pick) pick.checked = this.chosen.has(uid)
    }
    const put = (name, text) => {
      if (this.find(name).textContent !== text) this.find(name).textContent = text
    }
    put("count", say("{count} selected", { count: this.chosen.size }))
    const unseen = [...this.chosen].filter((uid) => this.tiles.get(uid).querySelector("img") && !this.wasSeen(uid))
    const scroll =
      unseen.length === 1
        ? say("One of the selected has not been on the screen yet: scroll to it before you decide.")
        : say("{count} of the selected have not been on the screen yet: scroll to them before you decide.", {
            count: unseen.length,
          })
    put("unseen", unseen.length ? scroll : "")
    this.find("none").disabled = this.find("go").disabled = this.chosen.size === 0
  }

  wasSeen(uid) {
    return (this.seen.get(uid) ?? 0) >= SEEN_MS
  }

  watch(entries) {
    for (const entry of entries) {
      const { uid } = entry.target.closest(".tile").dataset
      if (entry.isIntersecting) this.visible.add(uid)
      else this.visible.delete(uid)
    }
  }

  // A tab in the background shows nothing, and its clock stands: no step is longer than two of these looks.
  look() {
    const now = performance.now()
    const passed = Math.min(now - this.looked, 2 * LOOK_MS)
    this.looked = now
    if (document.hidden) return
    let news = false
    for (const uid of this.visible) {
      if (!this.tiles.get(uid)?.querySelector(".picture").dataset.there) continue
      const before = this.wasSeen(uid)
      this.seen.set(uid, (this.seen.get(uid) ?? 0) + passed)
      if (before === this.wasSeen(uid)) continue
      this.tiles.get(uid).dataset.seen = "1"
      news = true
    }
    if (news) this.tell()
  }

  key(event) {
    if (!this.data.selecting || !event.target.classList.contains("pick")) return
    const go = this.step(event.key)
    if (go !== null) {
      event.preventDefault()
      const to = this.uids[Math.min(this.uids.length - 1, Math.max(0, this.uids.indexOf(this.active) + go))]
      if (event.shiftKey) {
        this.anchor ??= this.active
        this.range(to)
      }
      this.at(to, { focus: true })
    } else if (event.key === " " && event.shiftKey) {
      event.preventDefault()
      if (this.anchor === null) this.pick(this.active, true)
      else this.range(this.active)
    } else if (event.key === "Enter") {
      event.preventDefault()
      this.open(this.active)
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      this.select(this.uids)
    }
  }

  // How many tiles further a key goes; null where it is none that goes.
  step(key) {
    const tops = [...this.tiles.values()].map((tile) => tile.offsetTop)
    const columns = tops.filter((top) => top === tops[0]).length
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -tops.length, End: tops.length }
    return steps[key] ?? null
  }

  go() {
    const parts = this.uids.filter((uid) => this.chosen.has(uid))
    const shown = (uid) => (this.wasSeen(uid) ? Math.round(this.seen.get(uid)) : null)
    this.send({ turn: this.data.turn, parts: parts.map((uid) => ({ uid, shown_ms: shown(uid) })) })
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  speak(data)
  sayMarkup(parentElement)
  let gallery = galleries.get(parentElement)
  if (!gallery) {
    gallery = new Gallery(parentElement)
    galleries.set(parentElement, gallery)
  }
  gallery.show(data, (chosen) => setTriggerValue("chosen", chosen), (uid) => setTriggerValue("opened", uid))
  return () => {
    gallery.close()
    galleries.delete(parentElement)
  }
}
