/** What the tests of the page share. */

import type { ReactNode } from 'preact/compat'
import { createRoot } from 'preact/compat/client'
import { act } from 'preact/test-utils'
import { rendering } from '../core/testing/rendering'

export const { render, cleanUp, after } = rendering<ReactNode>({ createRoot, act })

/** The button with these words; throws where there is none. */
export function button(place: ParentNode, words: string): HTMLButtonElement {
  const found = [...place.querySelectorAll('button')].find((one) =>
    one.textContent!.startsWith(words),
  )
  if (!found) throw new Error(`no button "${words}" in: ${(place as HTMLElement).innerHTML}`)
  return found
}
