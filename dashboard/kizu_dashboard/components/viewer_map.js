// The heatmap in colours, from its one grey picture: how strong, from where on and in which colours changes here alone.
const KEPT = "kizu-heatmap"
const LOOK = { opacity: 60, threshold: 0, colours: "inferno" }

// Kept for this browser; what is not understood is as delivered.
function keptLook() {
  const look = { ...LOOK }
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {}
    if (kept.opacity >= 0 && kept.opacity <= 100) look.opacity = Number(kept.opacity)
    if (kept.threshold >= 0 && kept.threshold <= 95) look.threshold = Number(kept.threshold)
    if (Object.hasOwn(COLOUR_TABLES, kept.colours)) look.colours = kept.colours
  } catch {
    // A browser that keeps nothing, or something else under this name.
  }
  return look
}

function keepLook({ opacity, threshold, colours }) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ opacity, threshold, colours }))
  } catch {
    // A browser that keeps nothing still shows the picture.
  }
}

function coloursOf(name) {
  return Uint8Array.from(atob(COLOUR_TABLES[name]), (character) => character.charCodeAt(0))
}

class HeatMap {
  constructor(canvas) {
    this.canvas = canvas
    this.clear()
  }

  clear() {
    this.grey = null
    this.drawn = ""
    this.canvas.width = this.canvas.height = 0
  }

  // The grey picture: 0 is no evidence, 255 the full scale.
  take(picture) {
    const { width, height } = picture
    this.canvas.width = width
    this.canvas.height = height
    this.paper = this.canvas.getContext("2d", { willReadFrequently: true })
    this.paper.drawImage(picture, 0, 0)
    this.pixels = this.paper.getImageData(0, 0, width, height)
    const values = new Uint8Array(width * height)
    for (let i = 0; i < values.length; i++) values[i] = this.pixels.data[4 * i]
    this.grey = { width, height, values }
    this.drawn = ""
  }

  draw({ threshold, colours }) {
    const wanted = `${colours} ${threshold}`
    if (!this.grey || wanted === this.drawn) return
    this.drawn = wanted
    const table = coloursOf(colours)
    const first = Math.round(2.55 * threshold)
    const of = new Uint8ClampedArray(4 * 256)
    for (let value = first; value < 256; value++) {
      of.set(table.subarray(3 * value, 3 * value + 3), 4 * value)
      of[4 * value + 3] = 4 * value // full at a quarter of the scale, like the reports' overlay
    }
    const words = new Uint32Array(of.buffer)
    const out = new Uint32Array(this.pixels.data.buffer)
    const { values } = this.grey
    for (let i = 0; i < values.length; i++) out[i] = words[values[i]]
    this.paper.putImageData(this.pixels, 0, 0)
  }
}
