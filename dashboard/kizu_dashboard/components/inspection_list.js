// What each list shows now, so that a rerun without news leaves the pictures alone.
const drawn = new WeakMap()

function cell(className, ...children) {
  const td = make("td", className)
  td.append(...children)
  return td
}

function score(row) {
  if (row.score === null) return [make("span", "", "–")]
  const track = make("div", "track")
  const filled = make("i")
  filled.style.width = `${100 * row.score}%`
  track.append(filled)
  return [make("span", "", row.score_text), track]
}

function line(row, open) {
  const tr = make("tr")
  tr.dataset.uid = row.uid
  const link = make("a", "", row.part)
  link.title = row.part
  link.href = `/part?uid=${encodeURIComponent(row.uid)}`
  const badge = make("span", "badge", `${row.icon} ${row.word}`)
  badge.style.color = row.ink
  badge.style.background = row.paper
  const reason = make("small", "reason", row.reason)
  reason.title = row.reason
  const decision = make("span", !row.decided && !row.waits ? "" : row.waits ? "tag waits" : "tag", row.decision)
  const tags = [decision, ...(row.audit ? [make("span", "tag audit", say("audit"))] : [])]
  if (row.conflict) {
    const conflict = make("span", "tag conflict", say("map conflict"))
    conflict.title = say("The heatmap does not explain the verdict")
    tags.push(conflict)
  }
  tr.append(
    cell("picture", pictureOr(row.thumbnail, "thumb")),
    cell("part", link, make("small", "", row.generated ? `${row.place} · ${say("id made up")}` : row.place)),
    cell("", badge, reason),
    cell("suspected", make("span", "", row.suspected ?? "–")),
    cell("score", ...score(row)),
    cell("time", row.time, make("small", "", row.date)),
    cell("", ...tags)
  )
  tr.onclick = (event) => openedHere(event, () => open(row.uid))
  return tr
}

export default function ({ data, parentElement, setTriggerValue }) {
  speak(data)
  sayMarkup(parentElement)
  const body = parentElement.querySelector("tbody")
  const text = JSON.stringify(data.rows)
  if (drawn.get(body) === text) return
  drawn.set(body, text)
  body.replaceChildren(...data.rows.map((row) => line(row, (uid) => setTriggerValue("opened", uid))))
}
