// The model's regions, as they lie over the photo.
const SVG = "http://www.w3.org/2000/svg"

// The region's contour in the pixels of its box, which stretches it to the screen. A contour passes through centres of pixels.
function outline(region) {
  const svg = document.createElementNS(SVG, "svg")
  svg.setAttribute("viewBox", `${region.x1} ${region.y1} ${region.x2 - region.x1} ${region.y2 - region.y1}`)
  svg.setAttribute("preserveAspectRatio", "none")
  for (const name of ["rim", "line"]) {
    const polygon = document.createElementNS(SVG, "polygon")
    polygon.setAttribute("points", region.contour.map(([x, y]) => `${x + 0.5},${y + 0.5}`).join(" "))
    polygon.setAttribute("class", name)
    svg.append(polygon)
  }
  return svg
}

function regionBox(region, index) {
  const box = document.createElement("div")
  box.className = "box"
  if (region.contour.length) {
    box.classList.add("outlined")
    box.append(outline(region))
  }
  const label = document.createElement("span")
  label.textContent = `${index + 1} · ${region.label} · ${region.score.toFixed(2)}`
  box.append(label)
  return box
}

// What the standing review's author drew: people's lines are dashed, the model's are not.
function peoplesBox(drawn, index) {
  const box = document.createElement("div")
  box.className = "box people"
  const label = document.createElement("span")
  label.textContent = `✎ ${index + 1} · ${drawn.label}`
  box.append(label)
  return box
}

// Puts an element over x1, y1, x2, y2 of the picture; its label goes below where it would be cut off above.
function layOver(element, { x1, y1, x2, y2 }, { scale, left, top }) {
  element.style.left = `${left + x1 * scale}px`
  element.style.top = `${top + y1 * scale}px`
  element.style.width = `${(x2 - x1) * scale}px`
  element.style.height = `${(y2 - y1) * scale}px`
  element.classList.toggle("low", top + y1 * scale < 24)
}
