/**
 * File names as they are shown, and whether the server accepts them.
 *
 * Rule 1: no name changes how it or the words around it are read. Characters that steer the
 * direction of text, or that cannot be seen, are shown by their number. Whoever renders a name
 * also isolates it (`<bdi>`).
 */

import { t } from './language'

/** Control characters, and those that change the direction of text. */
const STEERING = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
/** What the server refuses: `check_filename` in `core/names.py`. */
const REFUSED = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u
/** In UTF-16 code units, as on the server. */
const LONGEST = 255

/** `photo‹U+202E›gpj.exe`. */
export function shownName(name: string): string {
  return name.replace(STEERING, (character) => {
    const number = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
    return `‹U+${number}›`
  })
}

/** Why the server does not accept a file of this name; null if it does. */
export function nameProblem(name: string): string | null {
  if (/^\.{0,2}$/.test(name)) return t.refusal.empty
  if (REFUSED.test(name)) return t.refusal.control
  if (/[/\\]/.test(name)) return t.refusal.slash
  if (name.length > LONGEST) return t.refusal.long(LONGEST)
  return null
}
