/**
 * The language of the page: English, German or Arabic, whichever the browser's user prefers.
 *
 * Rule 1: it is chosen once, before anything is shown. What the server says itself, such as a
 * finding in a video, stays as it is.
 */

import { en } from './messages/en'
import type { Messages } from './messages/en'

/** The page's words, in the user's language. */
export let t: Messages = en

const OTHERS: Record<string, () => Promise<Messages>> = {
  de: async () => (await import('./messages/de')).de,
  ar: async () => (await import('./messages/ar')).ar,
}

/** Speak the first of the `wanted` languages (tags, like `de-AT`) that there is; else English. */
export async function speak(wanted: readonly string[], page: HTMLElement): Promise<void> {
  const languages = wanted.map((tag) => tag.split('-')[0]!.toLowerCase())
  const found = languages.find((language) => language === 'en' || language in OTHERS) ?? 'en'
  try {
    t = found === 'en' ? en : await OTHERS[found]!()
    page.lang = found
  } catch {
    t = en // Its file could not be loaded.
    page.lang = 'en'
  }
  page.dir = t.direction
}
