/**
 * The early verdict on a video: when to ask for it, and what the server says.
 *
 * Rule 1: no clock and no I/O, as in `plan.ts`.
 *
 * Rule 2: it is asked for when the bytes that it needs are acknowledged, and `MOST` times at most. The
 * upload never waits for it.
 *
 * Rule 3: an upload that is nearly over does not ask: to look takes the server's processor, and there
 * is no time left to be saved.
 */

import type { EarlyFinding, EarlyVerdict, Range } from './types'

/** How often one upload asks. */
const MOST = 6
/** The verdict is of use while the rest takes at least so long (seconds). */
const LEAST_LEFT = 20
/** Of the beginning, at least this much must have arrived (bytes). */
const BEGINNING = 65_536

export class EarlyQuestions {
  private needs: Range[] = []
  private left = MOST

  /** `tail`: how many bytes of the end the server wants second; null: it is not asked. */
  constructor(length: number, tail: number | null) {
    if (tail) {
      this.needs = [
        [0, Math.min(BEGINNING, length)],
        [Math.max(length - tail, 0), length],
      ]
    }
  }

  /**
   * Whether to ask now. The next question is due after the answer, if that wants one.
   * `secondsLeft`: until all is sent; null while nobody knows.
   */
  isDue(isSafe: (range: Range) => boolean, secondsLeft: number | null): boolean {
    if (secondsLeft === null || secondsLeft < LEAST_LEFT) return false
    if (!this.needs.length || !this.left || !this.needs.every(isSafe)) return false
    this.needs = []
    this.left -= 1
    return true
  }

  /** The verdict; null if the server lacks bytes for it, or has none. */
  answered({ state, needs, verdict, policy, findings }: Record<string, unknown>): EarlyVerdict | null {
    if (state === 'more' && Array.isArray(needs)) this.needs = [needs as Range]
    if (state !== 'known' || !Array.isArray(findings)) return null
    return {
      verdict: String(verdict) as EarlyVerdict['verdict'],
      policy: String(policy),
      findings: findings as EarlyFinding[],
    }
  }
}
