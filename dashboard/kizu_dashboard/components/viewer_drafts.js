// The boxes that a reviewer draws, in whole pixels of the picture, x2 and y2 exclusive. They never leave the picture.
class Drafts {
  constructor(most) {
    this.most = most
    this.clear()
  }

  clear() {
    this.boxes = []
    this.chosen = null // its place in the list
  }

  get box() {
    return this.chosen === null ? null : this.boxes[this.chosen]
  }

  get full() {
    return this.boxes.length >= this.most
  }

  // Adds a box and chooses it; false where there are too many.
  add({ x1, y1, x2, y2, defect_class }) {
    if (this.full) return false
    this.chosen = this.boxes.push({ x1, y1, x2, y2, defect_class }) - 1
    return true
  }

  remove() {
    if (this.chosen === null) return
    this.boxes.splice(this.chosen, 1)
    this.chosen = null
  }

  // Between two pixels, both of them in it.
  stretch(from, to, { width, height }) {
    const inside = (value, end) => Math.min(end - 1, Math.max(0, value))
    const [ax, bx] = [from.x, to.x].map((x) => inside(x, width))
    const [ay, by] = [from.y, to.y].map((y) => inside(y, height))
    Object.assign(this.box, { x1: Math.min(ax, bx), x2: Math.max(ax, bx) + 1, y1: Math.min(ay, by), y2: Math.max(ay, by) + 1 })
  }

  // Moves a box that lay at `from`, as far as the picture goes.
  move(from, dx, dy, { width, height }) {
    const x = Math.min(width - from.x2, Math.max(-from.x1, dx))
    const y = Math.min(height - from.y2, Math.max(-from.y1, dy))
    Object.assign(this.box, { x1: from.x1 + x, x2: from.x2 + x, y1: from.y1 + y, y2: from.y2 + y })
  }

  // Moves the lower right corner; a pixel stays.
  grow(dx, dy, { width, height }) {
    const { box } = this
    box.x2 = Math.min(width, Math.max(box.x1 + 1, box.x2 + dx))
    box.y2 = Math.min(height, Math.max(box.y1 + 1, box.y2 + dy))
  }

  // Whether these are the same boxes: then they were stored.
  same(others) {
    const told = (box) => [box.x1, box.y1, box.x2, box.y2, box.defect_class].join()
    return this.boxes.length === others.length && this.boxes.every((box, index) => told(box) === told(others[index]))
  }
}
