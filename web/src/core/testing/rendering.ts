/** Rendering in tests, by React or by Preact. */

import { made } from './upload'

interface Root<Node> {
  render(node: Node): void
  unmount(): void
}

/** The library that renders: `createRoot`, and `act`, which waits for what follows. */
export interface Library<Node> {
  createRoot(place: HTMLElement): Root<Node>
  act(what: () => Promise<void>): PromiseLike<void>
}

/** The real one, also where a test has the clock. */
const { setImmediate } = globalThis

export function rendering<Node>({ createRoot, act }: Library<Node>) {
  let root: Root<Node> | null = null

  /** Do it, and all that follows: Preact runs effects at the end of `act`, and they ask servers. */
  async function settled(what: () => unknown): Promise<void> {
    await act(async () => void (await what()))
    for (let round = 0; round < 5; round++) {
      await act(() => new Promise((resolve) => setImmediate(resolve)))
    }
  }

  return {
    async render(page: Node): Promise<HTMLElement> {
      const place = document.createElement('div')
      document.body.append(place)
      root = createRoot(place)
      await settled(() => root!.render(page))
      return place
    },

    async cleanUp(): Promise<void> {
      await settled(() => root?.unmount())
      root = null
      document.body.replaceChildren()
      made.length = 0
    },

    after: settled,
  }
}
