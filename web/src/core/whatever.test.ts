/** Whole uploads through every kind of trouble at once, in an order that each seed chooses. */

import { expect, test } from 'vitest'
import {
  FakeServer,
  FakeEnvironment,
  hasArrived,
  lost,
  page,
  problem,
  someFile,
  STEP,
} from './testing/fake'
import { OneUpload } from './upload'

/** Numbers from 0 to 1, the same for the same seed. */
function numbers(seed: number): () => number {
  let x = seed * 2654435761 + 1
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x / 4294967296
  }
}

const TROUBLES = [
  () => page(502),
  () => page(500),
  () => page(401),
  () => page(429, { 'retry-after': '1' }),
  () => lost(),
  () => problem(503, 'no-room', { retryable: true, retry_after: 3 }),
  () => problem(503, 'busy', { retryable: true, retry_after: 1 }),
  () => problem(429, 'waiting', { retryable: true, position: 1, retry_after: 2 }),
  () => problem(422, 'digest-mismatch', { retryable: true }),
  () => problem(409, 'superseded', { retryable: true }),
  () => problem(408, 'body-stalled', { retryable: true }),
]

test.each(Array.from({ length: 60 }, (_, seed) => [seed]))('a file arrives (%i)', async (seed) => {
  const random = numbers(seed)
  const server = new FakeServer()
  const environment = new FakeEnvironment(server)
  let looks = 0
  environment.now = () => environment.clock.now + ++looks * 1e-5
  environment.after = (seconds, act) => environment.clock.after(Math.max(seconds - 2e-5, 0), act)
  environment.jitter = random
  if (seed % 2) environment.paths.clear() // Then it may go in one request.
  server.maxBody = STEP + random() * 6 * STEP
  server.resets = random() < 0.5
  server.hold = async () => {
    if (random() < 0.5) await new Promise<void>((done) => environment.clock.after(random() * 20, done))
  }
  let left = 25
  const any = (): Error | ReturnType<typeof page> =>
    TROUBLES[Math.floor(random() * TROUBLES.length)]!()
  server.trouble = () => (random() < 0.4 && left-- > 0 ? any() : null)
  server.after = () => (random() < 0.1 && left-- > 0 ? lost() : null)
  const file = someFile(Math.floor(random() * 30 * STEP), seed)
  const percents: number[] = []
  const one = new OneUpload(
    file,
    { headers: () => ({ n: `${looks}` }), patience: 1e6, onProgress: (p) => percents.push(p) },
    false,
    environment,
  )
  // Another start after what is thrown on, as a user would.
  for (let tries = 0; one.details.state !== 'done'; tries++) {
    expect(tries).toBeLessThan(30)
    if (random() < 0.3) environment.clock.after(random() * 10, () => one.pause())
    environment.clock.after(60, () => one.resume())
    await one.start().catch((error: Error) => expect(error.name).toMatch(/Unauthorized|GaveUp/))
  }
  expect(await hasArrived(server.only, file)).toBe(true)
  expect(percents).toEqual([...percents].sort((a, b) => a - b))
})
