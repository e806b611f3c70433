// The age is counted in the browser: where the server or the network is gone, nobody else would say that the figures stand still.
const clocks = new WeakMap()

function words(age_s, data) {
  if (age_s <= data.old_after_s) return say("Data is {seconds} s old", { seconds: age_s })
  if (age_s < 120) return say("Data is {seconds} s old: these figures stand still", { seconds: age_s })
  return say("Data is {minutes} min old: these figures stand still", { minutes: Math.floor(age_s / 60) })
}

export default function ({ data, parentElement }) {
  speak(data)
  const box = parentElement.querySelector(".freshness")
  const clock = clocks.get(box) ?? {}
  clocks.set(box, clock)
  // By the browser's own running clock, from the moment of arrival: its time of day need not be that of the server.
  if (clock.read !== data.read) Object.assign(clock, { read: data.read, since: performance.now() - 1000 * data.age_s })
  const show = () => {
    const age_s = Math.max(0, Math.floor((performance.now() - clock.since) / 1000))
    box.classList.toggle("old", age_s > data.old_after_s)
    const text = words(age_s, data)
    const place = box.querySelector(".words")
    if (place.textContent !== text) place.textContent = text
  }
  clearInterval(clock.timer)
  clock.timer = setInterval(show, 500)
  show()
  return () => clearInterval(clock.timer)
}
