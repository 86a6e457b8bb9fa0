/**
 * How fast bytes move. Times are seconds on a steady clock, speeds bytes a second.
 *
 * Rule 1: where nothing moves there is no speed, so nobody reads a time from it.
 */

/** Speed is measured over the last `WINDOW` seconds, once there are `SHORTEST`. */
const WINDOW = 10
const SHORTEST = 0.2
/** A standstill longer than this (seconds) lowers the speed. */
const STILL = 2
/** After a standstill of this many seconds there is no speed any more. */
const SILENT = 5
/** Bytes are noted at most this often (seconds). */
const INTERVAL = 0.05

export class Speed {
  private moved = 0
  private noted: [at: number, moved: number][] = []

  /** So many more bytes have moved by now. */
  note(bytes: number, now: number): void {
    if (bytes <= 0) return
    this.moved += bytes
    if (now - (this.noted.at(-1)?.[0] ?? -Infinity) >= INTERVAL) this.noted.push([now, this.moved])
    while (this.noted[0] && this.noted[0][0] < now - WINDOW) this.noted.shift()
  }

  /** Null if there is too little to measure, or if nothing moves. */
  at(now: number): number | null {
    const [from, before] = this.noted.find(([at]) => at >= now - WINDOW) ?? [now, 0]
    const [last, after] = this.noted.at(-1) ?? [now, 0]
    if (last - from <= SHORTEST || now - last > SILENT) return null
    // A long standstill counts as time.
    return (after - before) / ((now - last > STILL ? now : last) - from)
  }
}
