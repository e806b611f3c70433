// A sign such as é or µ is none of these: it is typed on Latin keyboards, and means itself.
const OTHER_SCRIPTS =
  /^[\p{sc=Hangul}\p{sc=Cyrillic}\p{sc=Greek}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hebrew}\p{sc=Arabic}\p{sc=Thai}]$/u

// Signs that stand at these places wherever letters of another script are typed through an input method.
const SIGNS = {
  Minus: "-", Period: ".", Slash: "/", Space: " ", Enter: "Enter",
  NumpadSubtract: "-", NumpadDecimal: ".", NumpadDivide: "/", NumpadEnter: "Enter",
} // prettier-ignore

// What a key means here. Where another script is typed, as Hangul, a key is known by its place on the keyboard.
function meant({ key, code, shiftKey }) {
  if (key !== "Process" && !OTHER_SCRIPTS.test(key)) return key
  const [letter] = /(?<=^Key)[A-Z]$|(?<=^(?:Digit|Numpad))[0-9]$/.exec(code) ?? []
  if (letter) return shiftKey ? letter : letter.toLowerCase()
  return (key === "Process" && !shiftKey && SIGNS[code]) || key
}

// Where somebody types, letters are no keys.
function isTyping(event) {
  const at = event.composedPath()[0]
  if (!(at instanceof HTMLElement)) return false
  if (at.isContentEditable || /^(TEXTAREA|SELECT)$/.test(at.tagName)) return true
  return at.tagName === "INPUT" && !/^(checkbox|range|radio|button)$/.test(at.type)
}
